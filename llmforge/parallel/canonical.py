"""The canonical form of a training state: safetensors keyed by parameter name, without a trace of topology.

weights.safetensors     "<parameter>"            fp32
optimizer.safetensors   "<parameter>/<state>"    as the optimizer keeps it; metadata names the optimizer
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save
from torch import Tensor

from llmforge.core.errors import InputError
from llmforge.core.files import write_bytes
from llmforge.model.saved import WEIGHTS, check_names, check_shape, open_tensors

OPTIMIZER = "optimizer.safetensors"
_OPTIMIZER_NAME = "optimizer"


def save_weights(folder: Path, weights: Iterable[tuple[str, Tensor]]) -> None:
    """Write full weights, whole or not at all; while it writes, they are in memory twice."""
    write_bytes(folder / WEIGHTS, save({name: tensor.cpu().contiguous() for name, tensor in weights}))


def save_optimizer(folder: Path, optimizer: torch.optim.Optimizer, names: Mapping[Tensor, str]) -> None:
    """Write the optimizer's state tensors, step counters too; learning rates belong to the schedule."""
    states = (
        (f"{names[parameter]}/{key}", value)
        for parameter, state in optimizer.state.items()
        for key, value in state.items()
        if value is not None
    )
    save_states(folder, type(optimizer).__name__, states)


def save_states(folder: Path, optimizer_name: str, states: Iterable[tuple[str, Tensor]]) -> None:
    """Write full state tensors, named "<parameter>/<state>", of an optimizer that is known by its class's name."""
    tensors = {name: tensor.cpu().contiguous() for name, tensor in states}
    write_bytes(folder / OPTIMIZER, save(tensors, metadata={_OPTIMIZER_NAME: optimizer_name}))


def load_optimizer(folder: Path, optimizer: torch.optim.Optimizer, names: Mapping[Tensor, str]) -> None:
    """Give the optimizer a saved state.

    Raises: InputError if another optimizer wrote it, or parameters or shapes differ.
    """
    state_by_name = read_states(folder / OPTIMIZER, type(optimizer).__name__)
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    if state_by_name:  # an optimizer that has not stepped yet has no state
        check_names(folder / OPTIMIZER, state_by_name, (names[parameter] for parameter in parameters))
    states: dict[int, dict[str, Tensor]] = {}
    for index, parameter in enumerate(parameters):
        name = names[parameter]
        states[index] = state_by_name.get(name, {})
        for key, value in states[index].items():
            if value.dim():
                check_shape(folder / OPTIMIZER, f"{name}/{key}", list(value.shape), parameter.shape)
    # The library's own way in: it puts each tensor where this kind of optimizer expects it.
    groups: list[dict[str, Any]] = optimizer.state_dict()["param_groups"]
    optimizer.load_state_dict({"state": states, "param_groups": groups})


def read_states(path: Path, optimizer_name: str) -> dict[str, dict[str, Tensor]]:
    """State tensors by parameter and state name.

    Raises: InputError if another optimizer wrote them.
    """
    states: dict[str, dict[str, Tensor]] = {}
    with open_tensors(path) as file:
        writer = (file.metadata() or {}).get(_OPTIMIZER_NAME)
        if writer != optimizer_name:
            raise InputError(
                f"{path}: written by the optimizer {writer}, this run uses {optimizer_name}",
                "resume with the optimizer that the run was started with",
            )
        for key in file.keys():
            name, state = key.rsplit("/", 1)
            states.setdefault(name, {})[state] = file.get_tensor(key)
    return states
