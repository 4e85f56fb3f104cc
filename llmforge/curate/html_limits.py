"""What a page may be before an extractor sees it: limits that give the same answer on every machine."""

import re

from llmforge.config.curate import ExtractSection

_TAG = re.compile(r"<(/?)([a-zA-Z][a-zA-Z0-9:-]{0,40})")

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
    if len(tags) > limits.max_html_depth and _depth(tags, limits.max_html_depth) > limits.max_html_depth:
        return "html_too_deep"
    return None


def _depth(tags: list[tuple[str, str]], enough: int) -> int:
    """How deep elements are nested; counting stops once it is past `enough`."""
    depth = 0
    for slash, name in tags:
        if name in _FLAT or name.lower() in _FLAT:
            continue
        if slash:
            depth = max(depth - 1, 0)
        else:
            depth += 1
            if depth > enough:
                break
    return depth
