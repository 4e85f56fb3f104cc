import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmforge.config.curate import ExtractSection
from llmforge.curate.html_limits import find_excess

LIMITS = ExtractSection(max_html_bytes=10_000, max_html_depth=5, max_html_tags=400)


@pytest.mark.parametrize(
    ("html", "excess"),
    [
        ("<p>text</p>", None),
        ("x" * 10_000, None),
        ("x" * 10_001, "html_too_large"),
        ("\u00e9" * 5_000, None),
        ("\u00e9" * 5_001, "html_too_large"),
        ("<b></b>" * 200, None),
        ("<b></b>" * 200 + "<i>", "html_too_many_tags"),
        ("<div>" * 5 + "</div>" * 5, None),
        ("<div>" * 6 + "</div>" * 6, "html_too_deep"),
        ("<DIV>" * 6, "html_too_deep"),
        ("</div>" * 100 + "<div>" * 5, None),  # an end tag too many does not hide what comes after it
        ("<div></div>" * 100, None),
        ("<p>never closed" * 100, None),  # HTML closes these by itself
        ("<ul>" + "<li>item" * 100, None),
        ("<table>" + "<tr><td>cell" * 100, None),
        ("<br><img src=a><hr/>" * 100, None),
        ("a < b and b > c, 1<2 " * 100, None),  # no tags
    ],
)
def test_a_page_is_within_the_limits_or_over_one(html: str, excess: str | None) -> None:
    assert find_excess(html.encode(), LIMITS) == excess


PIECES = "<div> </div> <p> </P> <LI a=b> <colgroup> <colgroups </colgroups> <br/> <x:y-1> </x:y-1> <1> < </ é >".split()


@given(st.lists(st.sampled_from(PIECES), max_size=40), st.integers(1, 6))
def test_depth_is_what_counting_tag_by_tag_gives(pieces: list[str], limit: int) -> None:
    html, level, deepest = "".join(pieces), 0, 0
    tags = re.findall(r"<(/?)([a-zA-Z][a-zA-Z0-9:-]*)", html)
    for end, name in tags:
        if name.lower() not in ("p", "li", "colgroup", "br"):
            level = max(0, level + (-1 if end else 1))
            deepest = max(deepest, level)
    expected = "html_too_deep" if deepest > limit else None
    assert find_excess(html.encode(), ExtractSection(max_html_depth=limit)) == expected


@pytest.mark.timeout(20)
def test_hostile_pages_take_no_time() -> None:
    wide = ExtractSection(max_html_bytes=100_000_000, max_html_tags=100_000_000)
    assert find_excess(b"<div>" * 1_000_000, wide) == "html_too_deep"
    assert find_excess(b"<" * 5_000_000, wide) is None
    assert find_excess(b"<a" + b" b=c" * 2_000_000 + b">", wide) is None
