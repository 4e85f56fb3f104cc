"""The canonical form of a training state: safetensors keyed by parameter name, without a trace of topology.

weights.safetensors     "<parameter>"            fp32
optimizer.safetensors   "<parameter>/<state>"    as the optimizer keeps it; metadata names the optimizer
"""

from collections.abc import Container, Iterable, Iterator, Mapping
from pathlib import Path

import torch
from torch import Tensor

from llmforge.model.saved import WEIGHTS, check_names, check_shape, open_tensors
from llmforge.parallel.tensor_file import Form, read_optimizer_keys, write_tensors

OPTIMIZER = "optimizer.safetensors"


def save_weights(folder: Path, weights: Iterable[tuple[str, Tensor]]) -> None:
    """Write full weights, whole or not at all."""
    _save(folder / WEIGHTS, weights, {})


def save_states(folder: Path, optimizer_name: str, states: Iterable[tuple[str, Tensor]]) -> None:
    """Write full state tensors, named "<parameter>/<state>", of an optimizer that is known by its class's name."""
    _save(folder / OPTIMIZER, states, {"optimizer": optimizer_name})


def _save(path: Path, tensors: Iterable[tuple[str, Tensor]], metadata: Mapping[str, str]) -> None:
    held = dict(tensors)
    forms: dict[str, Form] = {name: (tensor.dtype, tuple(tensor.shape)) for name, tensor in held.items()}
    write_tensors(path, forms, held.items(), metadata)


def read_weights(path: Path, shapes: Mapping[str, torch.Size], names: Iterable[str]) -> Iterator[tuple[str, Tensor]]:
    """Full weights, one at a time.

    Args:
        path: the file.
        shapes: of all parameters.
        names: the parameters that are wanted.

    Raises: InputError if parameters or shapes differ.
    """
    with open_tensors(path) as file:
        check_names(path, file.keys(), shapes)
        for name, shape in shapes.items():
            check_shape(path, name, file.get_slice(name).get_shape(), shape)
        for name in names:
            yield name, file.get_tensor(name)


def read_states(
    path: Path, optimizer_name: str, shapes: Mapping[str, torch.Size], names: Container[str]
) -> Iterator[tuple[str, str, Tensor]]:
    """Full state tensors with their parameter's and their own name, one at a time.

    Args:
        path: the file.
        optimizer_name: the class that is to go on with them.
        shapes: of all parameters.
        names: the parameters whose states are wanted.

    Raises: InputError if another optimizer wrote them, or parameters or shapes differ.
    """
    keys = read_optimizer_keys(path, optimizer_name, shapes)
    with open_tensors(path) as file:
        for name, key in keys:
            if name in names:
                yield name, key, file.get_tensor(f"{name}/{key}")
