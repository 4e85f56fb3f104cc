"""What makes trafilatura faster and leaves every text as it is: most of its time goes to XPath and to searches.

Loaded by its path into the extraction process, so that it imports nothing of llmforge. It changes the library's
tables of compiled expressions, and only what it recognises there: an expression of another form stays as it is.
Measured by `scripts/bench_extract.py`; that texts stay the same, by tests/curate/test_trafilatura_speed.py.
"""

import re
from collections.abc import Callable
from functools import lru_cache
from typing import Any

from lxml import etree, html

_REGEXP = {"re": "http://exslt.org/regular-expressions"}
_SEARCHES = {"search": "patterns of attributes"}
# Of each attribute of each expression, some 50 in all; so hostile pages have at most some 50 MB remembered.
_REMEMBERED_STRINGS = 1024
_LONGEST_REMEMBERED = 200  # characters

# `.//*[self::a or self::b][condition]`, where the first brackets may be missing.
_ELEMENTS = re.compile(r"\s*\(?\.//\*(\[\(?self::[^\]]*\])?(?=\[)")
_STRING = r"""("[^"]*"|'[^']*')"""
_TOKEN = re.compile(_STRING + r"|\s+or\s+|[\[\]()]")
_NEXT = r"\s*,\s*"
_ATTRIBUTE = r"(@[\w-]+(?:\|@[\w-]+)*)"  # of several, functions take the first that the element has
# What a condition says of one attribute, and the pattern of the values for which it holds.
_CLAIMS: tuple[tuple[re.Pattern[str], Callable[..., str | None]], ...] = (
    (re.compile(rf"(@[\w-]+)\s*=\s*{_STRING}"), lambda text: rf"\A{re.escape(text)}\Z"),
    (re.compile(rf"contains\({_ATTRIBUTE}{_NEXT}{_STRING}\)"), re.escape),
    (re.compile(rf"starts-with\({_ATTRIBUTE}{_NEXT}{_STRING}\)"), lambda text: rf"\A{re.escape(text)}"),
    (re.compile(rf"re:test\({_ATTRIBUTE}{_NEXT}{_STRING}\)"), lambda pattern: f"(?:{pattern})"),
    (re.compile(rf"re:test\({_ATTRIBUTE}{_NEXT}{_STRING}{_NEXT}['\"]i['\"]\)"), lambda pattern: f"(?i:{pattern})"),
    (
        re.compile(rf"contains\(translate\({_ATTRIBUTE}{_NEXT}{_STRING}{_NEXT}{_STRING}\){_NEXT}{_STRING}\)"),
        lambda before, after, text: _untranslate(before, after, text),
    ),
)
_ABOUT_ATTRIBUTES = re.compile(rf"(?:{_STRING}|@[\w-]+|(?:contains|starts-with|translate|re:test)\(|[=,|)\s])+")
_QUOTED = re.compile(_STRING)
_PREFIX = re.compile(r"(?<!:)\b(?!re:)[\w-]+:(?!:)")  # a namespace that the rebuilt expression would not know
_OF_ITS_OWN = re.compile(r"\(\?(P|\(|[a-zA-Z]+\))|\\[1-9]")  # flags for a whole pattern, and numbers or names of groups


def make_faster() -> None:
    """Change the tables of the trafilatura that is installed."""
    from trafilatura import readability_lxml, utils, xpaths

    _choose_classes_in_c(utils.HTML_PARSER, html.html_parser)
    for table in vars(xpaths).values():
        if isinstance(table, list):
            table[:] = [faster(one) if isinstance(one, etree.XPath) else one for one in table]
    patterns: dict[str, Any] = getattr(readability_lxml, "REGEXES", {})
    patterns.update({name: Remembering(pattern) for name, pattern in patterns.items()})


def _choose_classes_in_c(*parsers: etree.HTMLParser) -> None:
    """Let lxml make all elements of one class, in C: by default it asks a Python function for the class of each.

    The other classes are for forms and labels, which nothing here reads.
    """
    lookup = etree.ElementDefaultClassLookup(
        element=html.HtmlElement, comment=html.HtmlComment, pi=html.HtmlProcessingInstruction, entity=html.HtmlEntity
    )
    for parser in parsers:
        parser.set_element_class_lookup(lookup)


def faster(expression: etree.XPath) -> etree.XPath:
    """An expression that finds the same elements, and searches each attribute once.

    `.//*[self::p or ...][contains(@id, "x") or contains(@id, "y") or ...]` asks every question of every element, and
    makes a list and a string for each. The faster one passes over elements without attributes, joins what is said of
    one attribute to one pattern, and remembers the answers.
    """
    found = _ELEMENTS.match(expression.path)
    if found is None:
        return expression
    start = found.end()
    parts, end = _split_condition(expression.path, start)
    if not _needs_attributes(parts) or _PREFIX.search(_QUOTED.sub("", expression.path[end:])):
        return expression
    condition, functions = _join_claims(parts)
    path = f"{expression.path[:start]}[@*][{condition}]{expression.path[end:]}"
    return etree.XPath(path, namespaces=_REGEXP | _SEARCHES, extensions=functions, smart_strings=False)


def _needs_attributes(parts: list[str]) -> bool:
    """Whether a condition is about an element's attributes alone, and holds for no element that has none."""
    if not all(_ABOUT_ATTRIBUTES.fullmatch(part) for part in parts):
        return False
    bare = html.Element("body")
    bare.append(html.Element("p"))
    return not etree.XPath(f".//*[{' or '.join(parts)}]", namespaces=_REGEXP)(bare)


def _split_condition(path: str, start: int) -> tuple[list[str], int]:
    """What `or` joins in the condition whose bracket opens at `start`, and where the condition ends."""
    parts, begin, level = [], start + 1, 0
    for token in _TOKEN.finditer(path, start):
        if token[0][0] in "[(":
            level += 1
        elif token[0][0] in "])":
            level -= 1
        if level == 0 or (level == 1 and token[0].strip() == "or"):
            parts.append(path[begin : token.start()].strip())
            begin = token.end()
        if level == 0:
            break
    return parts, begin


def _join_claims(parts: list[str]) -> tuple[str, dict[tuple[str, str], Callable[[object, str], bool]]]:
    """The condition with one search for each attribute, and the functions that it calls."""
    patterns: dict[str, list[str]] = {}
    others = []
    for part in parts:
        if claim := _find_claim(part):
            patterns.setdefault(claim[0], []).append(claim[1])
        else:
            others.append(part)
    functions = {}
    for index, (attribute, alternatives) in enumerate(patterns.items()):
        functions[_SEARCHES["search"], f"pattern{index}"] = _search_any(alternatives)
        others.append(f"({attribute} and search:pattern{index}(string({attribute})))")
    return " or ".join(others), functions


def _find_claim(part: str) -> tuple[str, str] | None:
    """The attribute that a part of a condition asks about, and the pattern that it asks for; None for other forms."""
    for form, to_pattern in _CLAIMS:
        if found := form.fullmatch(part):
            attribute, *strings = found.groups()
            pattern = to_pattern(*(string[1:-1] for string in strings))
            return (attribute, pattern) if pattern is not None and _can_be_joined(pattern) else None
    return None


def _can_be_joined(pattern: str) -> bool:
    """Whether a pattern means the same beside others, and asks for more than the attribute that is there."""
    try:
        return not _OF_ITS_OWN.search(pattern) and not re.search(pattern, "")
    except re.error:
        return False


def _untranslate(before: str, after: str, text: str) -> str | None:
    """The pattern of what XPath's `translate` turns into a text; None where it would leave out characters."""
    if len(before) != len(after):
        return None
    letters = {**{letter: letter for letter in text}, **dict(zip(reversed(before), reversed(after), strict=True))}
    sources = [[old for old, new in letters.items() if new == letter] for letter in text]
    return "".join("(?:" + "|".join(map(re.escape, olds)) + ")" if olds else "(?!)" for olds in sources)


def _search_any(patterns: list[str]) -> Callable[[object, str], bool]:
    find = remembering(re.compile("|".join(patterns)).search)
    return lambda _, value: find(value) is not None


def remembering(search: Callable[[str], Any]) -> Callable[[str], Any]:
    """A search that answers from memory where it can: the classes of a page's elements repeat."""
    remembered = lru_cache(maxsize=_REMEMBERED_STRINGS)(search)

    def find(text: str) -> Any:
        return remembered(text) if len(text) <= _LONGEST_REMEMBERED else search(text)

    return find


class Remembering:
    """A compiled pattern whose `search` is remembered."""

    def __init__(self, pattern: re.Pattern[str]) -> None:
        self._pattern = pattern
        self.search = remembering(pattern.search)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._pattern, name)
