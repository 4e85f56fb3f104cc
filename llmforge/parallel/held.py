"""How much memory a rank's tensors take, counted over the tensors themselves."""

from collections.abc import Mapping, Sequence

from torch import Tensor

from llmforge.parallel.sharding import local


def held_bytes(tensors: Mapping[str, Sequence[Tensor]]) -> dict[str, int]:
    """Bytes by part; memory that several tensors look at is counted once, where it comes first."""
    counted: set[int] = set()
    held = dict.fromkeys(tensors, 0)
    for part, group in tensors.items():
        for tensor in group:
            storage = local(tensor).untyped_storage()
            if storage.data_ptr() not in counted:
                counted.add(storage.data_ptr())
                held[part] += storage.nbytes()
    return held
