"""Safetensors files written and read one tensor at a time, so that memory holds one full tensor and not the model.

The library writes a file from tensors that are all in memory; the format itself is a header of names, types, shapes
and offsets, and then the bytes.
"""

import struct
from collections.abc import Iterable, Mapping
from pathlib import Path

import torch
from torch import Tensor

from llmforge.core.errors import InputError
from llmforge.core.files import atomic_writer, to_json
from llmforge.model.saved import check_names, check_shape, open_tensors

_DTYPES = {
    torch.float64: "F64",
    torch.float32: "F32",
    torch.bfloat16: "BF16",
    torch.float16: "F16",
    torch.int64: "I64",
    torch.int32: "I32",
}

Form = tuple[torch.dtype, tuple[int, ...]]
"""Type and shape of a tensor."""


def write_tensors(
    path: Path, forms: Mapping[str, Form], tensors: Iterable[tuple[str, Tensor]], metadata: Mapping[str, str]
) -> None:
    """Write tensors in the order in which they come, whole or not at all; whoever publishes the file makes it durable.

    Args:
        path: the file.
        forms: type and shape of each tensor, in the same order.
        tensors: name and value.
        metadata: words about them.
    """
    header = _header(forms, metadata)
    with atomic_writer(path, durable=False) as file:
        file.write(struct.pack("<Q", len(header)) + header)
        for (expected, (dtype, shape)), (name, tensor) in zip(forms.items(), tensors, strict=True):
            assert (name, tensor.dtype, tuple(tensor.shape)) == (expected, dtype, shape), name
            file.write(tensor.cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)


def _header(forms: Mapping[str, Form], metadata: Mapping[str, str]) -> bytes:
    """The header, padded so that the data begin at a multiple of eight bytes."""
    entries: dict[str, object] = {"__metadata__": dict(metadata)}
    start = 0
    for name, (dtype, shape) in forms.items():
        end = start + dtype.itemsize * torch.Size(shape).numel()
        entries[name] = {"dtype": _DTYPES[dtype], "shape": list(shape), "data_offsets": [start, end]}
        start = end
    text = to_json(entries)
    return text + b" " * (-len(text) % 8)


def read_optimizer_keys(path: Path, optimizer_name: str, shapes: Mapping[str, torch.Size]) -> list[tuple[str, str]]:
    """(parameter, state) of every tensor of an optimizer's file, in its order.

    Raises: InputError if another optimizer wrote it, or parameters or shapes differ.
    """
    with open_tensors(path) as file:
        writer = (file.metadata() or {}).get("optimizer")
        if writer != optimizer_name:
            raise InputError(
                f"{path}: written by the optimizer {writer}, this run uses {optimizer_name}",
                "resume with the optimizer that the run was started with",
            )
        keys = [tuple(key.rsplit("/", 1)) for key in file.keys()]
        if keys:  # an optimizer that has not stepped yet has no state
            check_names(path, {name for name, _ in keys}, shapes)
        for name, state in keys:
            found = file.get_slice(f"{name}/{state}").get_shape()
            if found:
                check_shape(path, f"{name}/{state}", found, shapes[name])
    return [(name, state) for name, state in keys]
