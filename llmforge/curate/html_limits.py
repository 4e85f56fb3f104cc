"""What a page may be before an extractor sees it: limits that give the same answer on every machine."""

import re
from functools import lru_cache
from itertools import accumulate

from llmforge.config.curate import ExtractSection

_TAG = re.compile(r"<(/?[a-zA-Z][a-zA-Z0-9:-]{0,40})")

# Elements that never hold others, and those that end without an end tag: a thousand open <p> are no depth.
_FLAT = frozenset(
    "area base br col embed hr img input link meta param source track wbr "
    "p li dt dd tr td th thead tbody tfoot colgroup option optgroup rp rt caption html head body".split()
)


def find_excess(html: str, num_bytes: int, limits: ExtractSection) -> str | None:
    """The limit that a page is over, as the name of an error; None if it is within all of them.

    Args:
        html, num_bytes: the page, and its size in UTF-8.
        limits: bytes of UTF-8, tags, and nesting depth (elements).
    """
    if num_bytes > limits.max_html_bytes:
        return "html_too_large"
    tags = _TAG.findall(html)
    if len(tags) > limits.max_html_tags:
        return "html_too_many_tags"
    if len(tags) > limits.max_html_depth and _is_deeper(tags, limits.max_html_depth):
        return "html_too_deep"
    return None


def _is_deeper(tags: list[str], depth: int) -> bool:
    """Whether elements are nested deeper."""
    levels = list(accumulate(map(_step, tags), initial=0))
    if max(levels) - min(levels) <= depth:  # nearly every page; it is deeper by what was closed without being open
        return False
    level = 0
    for tag in tags:
        level = max(level + _step(tag), 0)
        if level > depth:
            return True
    return False


@lru_cache(maxsize=4096)
def _step(tag: str) -> int:
    """By how much a tag changes the depth."""
    name = tag.lstrip("/").lower()
    return 0 if name in _FLAT else -1 if tag[0] == "/" else 1
