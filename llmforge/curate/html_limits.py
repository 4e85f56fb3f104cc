"""What a page may be before an extractor sees it: limits that give the same answer on every machine.

Counted in numpy over the page's bytes: pages have thousands of tags, and every page of an archive comes through here.
"""

import numpy as np
from numpy.typing import NDArray

from llmforge.config.curate import ExtractSection

_NAME_BYTES = 8

# Elements that never hold others, and those that end without an end tag: a thousand open <p> are no depth.
# None has a longer name than `_NAME_BYTES`.
_FLAT = (
    b"area base br col embed hr img input link meta param source track wbr "
    b"p li dt dd tr td th thead tbody tfoot colgroup option optgroup rp rt caption html head body"
).split()
_FLAT_KEYS = np.sort(np.array(_FLAT, dtype=f"S{_NAME_BYTES}").view(np.uint64))

_IS_LETTER = np.zeros(256, dtype=np.bool_)
_IS_LETTER[list(b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")] = True
_MAY_FOLLOW = _IS_LETTER.copy()
_MAY_FOLLOW[ord("/")] = True
_IN_NAME = _IS_LETTER.copy()
_IN_NAME[list(b"0123456789:-")] = True
_LOWER = np.frombuffer(bytes(range(256)).lower(), dtype=np.uint8)


def find_excess(page: bytes, limits: ExtractSection) -> str | None:
    """The limit that a page is over, as the name of an error; None if it is within all of them.

    Args:
        page: the page in UTF-8.
        limits: bytes, tags, and nesting depth (elements).
    """
    if len(page) > limits.max_html_bytes:
        return "html_too_large"
    data = np.frombuffer(page + bytes(_NAME_BYTES + 2), dtype=np.uint8)  # so that every tag has room for its name
    starts = np.flatnonzero((data[:-1] == ord("<")) & _MAY_FOLLOW[data[1:]]) + 1
    is_end = data[starts] == ord("/")
    names = starts + is_end
    is_tag = _IS_LETTER[data[names]]
    names, is_end = names[is_tag], is_end[is_tag]
    if len(names) > limits.max_html_tags:
        return "html_too_many_tags"
    if len(names) > limits.max_html_depth and _depth(data, names, is_end) > limits.max_html_depth:
        return "html_too_deep"
    return None


def _depth(data: NDArray[np.uint8], names: NDArray[np.intp], is_end: NDArray[np.bool_]) -> int:
    """How deep elements are nested, given where the name of each tag begins, and whether it is an end tag.

    An end tag too many does not hide what comes after it: the level never goes under 0.
    """
    steps = np.where(is_end, -1, 1)
    steps[_are_flat(data, names)] = 0
    levels = np.cumsum(steps)
    return int((levels - np.minimum(np.minimum.accumulate(levels), 0)).max())


def _are_flat(data: NDArray[np.uint8], names: NDArray[np.intp]) -> NDArray[np.bool_]:
    """Which names are of elements that do not nest."""
    letters = data[np.arange(_NAME_BYTES + 1)[:, None] + names]
    inside = np.logical_and.accumulate(_IN_NAME[letters])
    padded = np.where(inside, _LOWER[letters], np.uint8(0))[:_NAME_BYTES]
    keys = np.ascontiguousarray(padded.T).view(np.uint64)[:, 0]
    nearest = np.searchsorted(_FLAT_KEYS, keys) % len(_FLAT_KEYS)
    are_flat: NDArray[np.bool_] = (_FLAT_KEYS[nearest] == keys) & ~inside[_NAME_BYTES]
    return are_flat
