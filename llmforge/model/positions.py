"""How order enters attention: rotary angles, ALiBi slopes, and which keys a query may see.

Shapes: B batch, H heads, T query positions, S key positions, D head size, R = D / 2.
"""

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from llmforge.arch.architecture import Architecture


def rotary_angles(positions_T: Tensor, head_dim: int, theta: float) -> tuple[Tensor, Tensor]:
    """Cosine and sine of the angle by which each pair of a head turns at each position, fp32, shape (T, R) each.

    Source: Su et al. 2021 (RoFormer), section 3.2.2.
    """
    frequency_R = theta ** -(torch.arange(0, head_dim, 2, device=positions_T.device, dtype=torch.float32) / head_dim)
    angle_TR = positions_T.float()[:, None] * frequency_R
    return angle_TR.cos(), angle_TR.sin()


def rotate(x_BHTD: Tensor, angles_TR: tuple[Tensor, Tensor]) -> Tensor:
    """Turn each pair (d, d + R) of every head: the halves form of Llama's public weights, not neighbouring pairs."""
    cos_TR, sin_TR = angles_TR
    first_BHTR, second_BHTR = x_BHTD.float().chunk(2, dim=-1)
    turned = (first_BHTR * cos_TR - second_BHTR * sin_TR, second_BHTR * cos_TR + first_BHTR * sin_TR)
    return torch.cat(turned, dim=-1).to(x_BHTD.dtype)


def alibi_slopes(heads: int) -> list[float]:
    """One slope a head: powers of two, and every second one of the next finer series where heads are no power of two.

    Source: Press et al. 2022 (ALiBi), section 3, and appendix A of its code for other numbers of heads.
    """
    power = 2 ** math.floor(math.log2(heads))
    slopes = [2 ** (-8 * (i + 1) / power) for i in range(power)]
    return slopes + [2 ** (-8 * (2 * i + 1) / (2 * power)) for i in range(heads - power)]


def places_in_documents(documents_BT: Tensor) -> Tensor:
    """Positions that begin anew with each document: the place of a token among those of its own number, (B, T)."""
    place_T = torch.arange(documents_BT.shape[1], device=documents_BT.device)
    begins_BT = F.pad(documents_BT[:, 1:] != documents_BT[:, :-1], (1, 0))
    return place_T - (place_T * begins_BT).cummax(1).values


def attention_bias(
    arch: Architecture, query_T: Tensor, key_S: Tensor, *, banded: bool, documents_BT: Tensor | None = None
) -> Tensor | None:
    """What is added to the attention scores: 0 or an ALiBi penalty where a query may look, -inf where it may not.

    Args:
        arch: its `positions` and `band_tokens` count.
        query_T, key_S: positions of queries and keys in the sequence, int64.
        banded: whether this block sees the last `band_tokens` tokens only.
        documents_BT: a query sees the keys of its own document only (T = S then); None: all of them.

    Returns: fp32 of shape (H, T, S) for ALiBi and (T, S) otherwise, with documents (B, H, T, S) and (B, 1, T, S);
        None where plain causal attention says it all.
    """
    band = arch.band_tokens if banded else None
    square = len(query_T) == len(key_S)
    causal = (band is None or band >= len(key_S)) and (square or len(query_T) == 1)
    if causal and arch.positions != "alibi" and documents_BT is None:
        return None
    back_TS = query_T[:, None] - key_S
    hidden = (back_TS < 0) if band is None else (back_TS < 0) | (back_TS >= band)
    if documents_BT is not None:
        hidden = hidden | (documents_BT[:, None, :, None] != documents_BT[:, None, None, :])
    bias = torch.zeros(hidden.shape, device=hidden.device).masked_fill(hidden, -math.inf)
    if arch.positions != "alibi":
        return bias
    slope_H = torch.tensor(alibi_slopes(arch.heads), device=back_TS.device)
    return bias - slope_H[:, None, None] * back_TS.clamp(min=0)
