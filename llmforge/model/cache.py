"""Keys and values of the tokens already read, so that generation reads each token once.

Shapes: B batch, H key and value heads, S positions read so far, T new positions, D head size.
"""

import torch
from torch import Tensor


class KeyValueCache:
    """Keys and values of every block, for one batch of sequences."""

    def __init__(self) -> None:
        self._blocks: dict[str, tuple[Tensor, Tensor]] = {}

    @property
    def num_tokens(self) -> int:
        """Positions that every block has read (count)."""
        return next(iter(self._blocks.values()))[0].shape[2] if self._blocks else 0

    def append(self, block: str, k_BHTD: Tensor, v_BHTD: Tensor) -> tuple[Tensor, Tensor]:
        """Keep the new keys and values of a block; return all of its keys and values, shape (B, H, S + T, D)."""
        if block in self._blocks:
            k_BHSD, v_BHSD = self._blocks[block]
            k_BHTD, v_BHTD = torch.cat([k_BHSD, k_BHTD], dim=2), torch.cat([v_BHSD, v_BHTD], dim=2)
        self._blocks[block] = k_BHTD, v_BHTD
        return k_BHTD, v_BHTD
