"""What a checkpoint holds, proven against its hashes first."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from llmforge.core.errors import InputError
from llmforge.core.files import read_json
from llmforge.model.saved import MANIFEST, STATE, WEIGHTS, checkpoints, open_tensors, verify_checkpoint
from llmforge.parallel.canonical import OPTIMIZER


@dataclass(frozen=True)
class TensorFacts:
    """One parameter.

    Attributes:
        name, shape, dtype: as saved.
        rms: root mean square of its values.
        largest: the largest magnitude among them.
        optimizer: which states of the optimizer stand beside it.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str
    rms: float
    largest: float
    optimizer: tuple[str, ...]


@dataclass(frozen=True)
class CheckpointFacts:
    """A whole checkpoint: its folder, its state (position, architecture, who made it), files (bytes), parameters."""

    folder: Path
    state: dict[str, Any]
    files: dict[str, int]
    parameters: list[TensorFacts]


def find_checkpoint(path: Path) -> Path:
    """A checkpoint's folder: the path itself, or the newest checkpoint of the run there, whole or not.

    Raises: InputError if there is none.
    """
    if (path / MANIFEST).exists() and (path / WEIGHTS).exists():
        return path
    newest = next(checkpoints(path / "train"), None)
    if newest is None:
        raise InputError(f"{path}: neither a checkpoint nor a run that has one", "train first: llmforge train")
    return newest


def inspect_checkpoint(folder: Path) -> CheckpointFacts:
    """Read a checkpoint, one tensor at a time.

    Raises: InputError if it is damaged.
    """
    verify_checkpoint(folder)
    files = {name: facts["size"] for name, facts in read_json(folder / MANIFEST)["files"].items()}
    states = _optimizer_states(folder / OPTIMIZER) if OPTIMIZER in files else {}
    with open_tensors(folder / WEIGHTS) as file:
        parameters = [_examine(file, name, tuple(states.get(name, ()))) for name in sorted(file.keys())]
    return CheckpointFacts(folder, read_json(folder / STATE), files, parameters)


def _examine(file: Any, name: str, states: tuple[str, ...]) -> TensorFacts:
    tensor = file.get_tensor(name)
    values = tensor.float()
    rms, largest = float(values.square().mean().sqrt()), float(values.abs().max())
    return TensorFacts(name, tuple(tensor.shape), file.get_slice(name).get_dtype(), rms, largest, states)


def _optimizer_states(path: Path) -> dict[str, list[str]]:
    """By parameter, the names of its optimizer states."""
    found: dict[str, list[str]] = {}
    with open_tensors(path) as file:
        for key in sorted(file.keys()):
            name, _, state = key.rpartition("/")
            found.setdefault(name, []).append(state)
    return found
