"""A checkpoint's model: found, verified against its hashes, and rebuilt.

step-00001000/weights.safetensors   weights by parameter name
              state.json            holds "architecture", the fields of an `Architecture`
              manifest.json         {"schema", "step", "files": {name: {"size", "sha256"}}}; written last
"""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import nn

from llmforge.arch.architecture import Architecture
from llmforge.core import log
from llmforge.core.errors import InputError
from llmforge.core.files import read_json
from llmforge.core.hashing import hash_file
from llmforge.model.transformer import Transformer

WEIGHTS = "weights.safetensors"
STATE = "state.json"
MANIFEST = "manifest.json"
SCHEMA = 1


def verify_checkpoint(folder: Path) -> None:
    """Prove that every file that the manifest lists has its size and SHA-256.

    Raises: InputError that names the first file that does not.
    """
    manifest = read_json(folder / MANIFEST)
    files = manifest.get("files")
    if not isinstance(files, dict) or not {WEIGHTS, STATE} <= files.keys():
        raise InputError(f"{folder / MANIFEST}: lists no {WEIGHTS} and {STATE}", "this is no checkpoint of llmforge")
    for name, facts in files.items():
        path = folder / name
        if not path.is_file():
            raise InputError(f"{path}: missing, though the checkpoint's manifest lists it")
        if path.stat().st_size != facts.get("size"):
            expected = facts.get("size")
            raise InputError(f"{path}: {path.stat().st_size} bytes, expected {expected}: the file is damaged")
        if hash_file(path) != facts.get("sha256"):
            raise InputError(f"{path}: the SHA-256 is not the manifest's: the file is damaged or was changed")
    found = manifest.get("schema"), manifest.get("step")
    if found != (SCHEMA, read_json(folder / STATE).get("step")):
        raise InputError(f"{folder / MANIFEST}: schema and step {found} are not {STATE}'s: the file is damaged")


def checkpoints(train_folder: Path) -> Iterator[Path]:
    """Checkpoint folders of a training, newest first, not verified."""
    folders = [path for path in (train_folder / "checkpoints").glob("step-*") if path.name[5:].isdecimal()]
    yield from sorted(folders, key=lambda path: int(path.name[5:]), reverse=True)


def newest_checkpoint(train_folder: Path) -> Path:
    """The newest checkpoint that is whole; each one that is not is passed over with a warning.

    Raises: InputError if there is none.
    """
    for folder in checkpoints(train_folder):
        try:
            verify_checkpoint(folder)
            return folder
        except InputError as error:
            log.warn(f"passing over {folder.name}: {error.what}")
    raise InputError(f"{train_folder / 'checkpoints'}: no whole checkpoint", "train first: llmforge train")


def load_model(folder: Path, device: torch.device | str = "cpu") -> tuple[Transformer, Architecture]:
    """The model of a checkpoint, verified first, in fp32 and ready to predict (dropout off).

    Raises: InputError if the checkpoint is damaged, or its weights are not those of its architecture.
    """
    verify_checkpoint(folder)
    arch = _architecture(folder / STATE)
    with torch.device("meta"):
        model = Transformer(arch)
    model.to_empty(device=device)
    model.tie()
    load_weights(folder / WEIGHTS, dict(model.named_parameters()))
    return model.eval(), arch


@contextmanager
def open_tensors(path: Path) -> Iterator[Any]:
    """Open a safetensors file; tensors are read one by one.

    Raises: InputError if it is missing or damaged.
    """
    try:
        with safe_open(path, framework="pt") as file:
            yield file
    except (OSError, SafetensorError) as error:
        raise InputError(f"{path}: not readable as safetensors ({error})", "take another checkpoint") from error


@torch.no_grad()
def load_weights(path: Path, parameters: Mapping[str, nn.Parameter]) -> None:
    """Copy saved weights into parameters.

    Raises: InputError if the file is damaged, or names or shapes differ.
    """
    with open_tensors(path) as file:
        check_names(path, file.keys(), parameters)
        for name, parameter in parameters.items():
            check_shape(path, name, file.get_slice(name).get_shape(), parameter.shape)
            parameter.copy_(file.get_tensor(name))


def _architecture(path: Path) -> Architecture:
    fields = read_json(path).get("architecture")
    try:
        return Architecture(**fields)  # type: ignore[arg-type]
    except TypeError as error:
        raise InputError(f'{path}: "architecture" is not one that this llmforge knows ({error})') from error


def check_names(path: Path, found: Iterable[str], expected: Iterable[str]) -> None:
    """Refuse a state with names that are missing or too many."""
    known, wanted = set(found), set(expected)
    if known != wanted:
        missing, extra = sorted(wanted - known), sorted(known - wanted)
        raise InputError(
            f"{path}: the names do not fit this model; missing: {missing[:3]}, unknown: {extra[:3]}",
            "load it with the model and optimizer settings that it was saved with",
        )


def check_shape(path: Path, name: str, found: list[int], expected: torch.Size) -> None:
    """Refuse a tensor of another shape."""
    if tuple(found) != tuple(expected):
        raise InputError(
            f"{path}: {name} has shape {tuple(found)}, this model expects {tuple(expected)}",
            "load it with the model settings that it was saved with",
        )
