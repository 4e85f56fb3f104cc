import pytest

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
    assert find_excess(html, len(html.encode()), LIMITS) == excess


@pytest.mark.timeout(20)
def test_hostile_pages_take_no_time() -> None:
    wide = ExtractSection(max_html_bytes=100_000_000, max_html_tags=100_000_000)
    assert find_excess("<div>" * 1_000_000, 5_000_000, wide) == "html_too_deep"
    assert find_excess("<" * 5_000_000, 5_000_000, wide) is None
    assert find_excess("<a" + " b=c" * 2_000_000 + ">", 8_000_003, wide) is None
