"""The faster expressions find what the library's own do, and texts of pages stay as they are."""

import importlib
import json
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree, html

from llmforge.config.curate import SourceSection
from llmforge.curate.readers.items import RawDocument, ReadOptions
from llmforge.curate.readers.warc import read
from llmforge.curate.trafilatura_speed import Remembering, faster, remembering
from llmforge.pipeline.inputs import InputFile

XPATHS = importlib.import_module("trafilatura.xpaths")
REGEXP = {"re": "http://exslt.org/regular-expressions"}
TABLES = {name: table for name, table in vars(XPATHS).items() if isinstance(table, list)}
EXPRESSIONS = [one for table in TABLES.values() for one in table if isinstance(one, etree.XPath)]
CHANGED = [one for one in EXPRESSIONS if faster(one) is not one]
MADE_UP = [
    """.//*[self::div][@id = 'a.b' or starts-with(@id, "a") or contains(@class, 'x') or @style]""",
    """.//*[contains(translate(@id, 'AB', 'ab'), 'abc') or contains(translate(@class, 'X', 'x'), 'Xy')]""",
    """.//*[contains(translate(@id, 'ax', 'b'), 'bb') or contains(translate(@class, 'aa', 'xy'), 'xx') or @x='a']""",
    """(.//*[(self::div or self::p)][re:test(@id|@class, '^a|b$') or re:test(@class, 'nav', 'i')])[1]""",
    """.//*[self::p][contains(@id, 'a')][1]|.//div""",
    """.//*[self::p][contains(@id, ' or ') or contains(@id, "]")]""",
    """.//*[re:test(@class, '(y)|q') or re:test(@class, '^(a)?(?(1)b|c)$') or @id='x']""",
    """.//*[re:test(@class, '(a)b\\1|x') or re:test(@id, '(?i)NAV')]""",
]
UNCHANGED = [
    ".//*[self::div][1]",
    ".//*[not(@id) or contains(@class, 'x')]",
    ".//*[p or contains(@class, 'x')]",
    ".//*[position()=1 or contains(@class, 'x')]",
    ".//*[contains(@class, '')]",
    ".//*[@class='a' or @id='x']/x:foo",
    ".//*[re:test(@class, 'x*')]",
    "//*[contains(@class, 'x')]",
    ".//div[contains(@class, 'x')]",
]


def to_xpath(path: str) -> etree.XPath:
    return etree.XPath(path, namespaces={**REGEXP, "x": "of another"})


def words_of(path: str) -> list[str]:
    """What an expression asks for, in pieces, and what is nearly that."""
    literals = [literal[1:-1] for literal in re.findall(r""""[^"]*"|'[^']*'""", path)]
    pieces = {piece for literal in literals for piece in re.split(r"[\\^$|()?:!\[\]]+", literal) if piece}
    return sorted(pieces | {piece.upper() for piece in pieces} | {piece.title() for piece in pieces} | {"", "a", " x "})


@st.composite
def trees(draw: st.DrawFn, path: str) -> html.HtmlElement:
    """A page with the elements and attributes that an expression names, and with others."""
    names = sorted({*re.findall(r"self::(\w+)", path), "div", "em"})
    attributes = sorted({*re.findall(r"@([\w-]+)", path), "href"})
    value = st.lists(st.sampled_from(words_of(path)), min_size=1, max_size=3).map("".join)
    root = html.Element("body")
    places = [root]
    for _ in range(draw(st.integers(1, 12))):
        element = html.Element(draw(st.sampled_from(names)))
        for name in draw(st.permutations(attributes))[: draw(st.integers(0, 2))]:
            element.set(name, draw(value))
        places[draw(st.integers(0, len(places) - 1))].append(element)
        places.append(element)
    return root


@settings(max_examples=6)
@given(st.data())
@pytest.mark.parametrize("path", [*(one.path for one in CHANGED), *MADE_UP])
def test_the_faster_expression_finds_the_same_elements(path: str, data: st.DataObject) -> None:
    before, after = to_xpath(path), faster(to_xpath(path))
    for _ in range(4):
        tree = data.draw(trees(path))
        assert after(tree) == before(tree), etree.tostring(tree)


@pytest.mark.parametrize("path", MADE_UP)
def test_these_forms_are_made_faster(path: str) -> None:
    assert faster(to_xpath(path)).path != path


@pytest.mark.parametrize("path", UNCHANGED)
def test_what_may_find_elements_without_attributes_stays_as_it_is(path: str) -> None:
    expression = to_xpath(path)
    assert faster(expression) is expression


def test_most_expressions_of_the_installed_version_are_recognised() -> None:
    """Fails when another version writes its tables in another way: then nothing is wrong, but nothing is faster."""
    of_the_body = [one for name in ("BODY_XPATH", "OVERALL_DISCARD_XPATH") for one in TABLES[name]]
    recognised = [one for one in of_the_body if one in CHANGED]
    assert len(recognised) == len(of_the_body) - 1  # the other is `.//article`
    assert len(CHANGED) >= 15


def test_a_search_is_remembered_unless_it_is_long() -> None:
    asked = []
    find = remembering(lambda text: asked.append(text) or len(text))
    assert [find("ab"), find("ab"), find("a" * 2000), find("a" * 2000)] == [2, 2, 2000, 2000]
    assert asked == ["ab", "a" * 2000, "a" * 2000]
    pattern = Remembering(re.compile("b+"))
    assert pattern.search("abb")[0] == "bb"
    assert pattern.search("a") is None
    assert pattern.sub("", "abb") == "a"


EXTRACT = """
import json, sys, trafilatura
if sys.argv[1] == "faster":
    from llmforge.curate.trafilatura_speed import make_faster
    make_faster()
pages = json.load(sys.stdin)
json.dump([trafilatura.extract(page, include_comments=False, deduplicate=False) for page in pages], sys.stdout)
"""


@pytest.mark.slow
def test_the_texts_of_real_pages_stay_as_they_are(real_data: Path) -> None:
    file = real_data / "web" / "wcxb_dev.warc.gz"
    items = read(
        InputFile(file, "s", file.name, file.stat().st_size), ReadOptions(SourceSection(path=str(file)), 8 << 20)
    )
    pages = [item.html.decode() for item in items if isinstance(item, RawDocument) and item.html]

    def extract(speed: str) -> list[str | None]:
        command = [sys.executable, "-c", EXTRACT, speed]
        done = subprocess.run(command, input=json.dumps(pages), capture_output=True, text=True, check=True)
        return json.loads(done.stdout)

    with ThreadPoolExecutor() as pool:
        plain, faster = pool.map(extract, ("plain", "faster"))
    assert len(pages) == 360
    assert faster == plain
    assert sum(map(bool, plain)) > 350
