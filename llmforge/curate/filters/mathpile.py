"""MathPile's rules: Gopher's, loosened where mathematics is full of symbols, and lines that come from web pages.

The published code tests whether more than 80 % of the words have no letter, where its own comment says 20 %; the
tested limit is taken here. It writes out the lines that it meant to take out; here they go.

Source: Wang et al., MathPile, arXiv 2312.17120, section 3 and appendix (cleaning and filtering); its filtering code.
"""

import re
import string
from collections.abc import Iterator

from llmforge.config.filters.code import MathpileSection
from llmforge.curate.filters.findings import Condition, Edited, Finding, Removal
from llmforge.curate.filters.text_stats import TextStats

_STOP_WORDS = frozenset({"the", "be", "to", "of", "and", "that", "have", "with"})
_BULLETS = tuple("\u2022\u2023\u25b6\u25c0\u25e6\u25a0\u25a1\u25aa\u25ab\u2013")
_ELLIPSES = ("...", "\u2026")
_SPACE_AND_PUNCTUATION = str.maketrans("", "", " \n\t" + string.punctuation)
_NAVIGATION = re.compile(r"login|sign-in|read more\.\.\.|items in cart", re.IGNORECASE)
_SWITCH = re.compile(r"enable|disable|browser")


def examine(stats: TextStats, limits: MathpileSection) -> Iterator[Finding]:
    """Lines to take out, then the conditions, on what is left."""
    kept, removed = _sort_lines(stats.text)
    if removed:
        stats = TextStats("\n".join(kept).strip())
        yield Edited(stats.text, tuple(removed))
    yield from _examine_words(stats.words, limits)
    yield from _examine_lines(stats, limits)
    num_chars = len(stats.text.translate(_SPACE_AND_PUNCTUATION))
    yield Condition("too_few_characters", num_chars, limits.min_chars, ">=", "min_chars")


def _examine_words(words: list[str], limits: MathpileSection) -> Iterator[Condition]:
    num_words = max(len(words), 1)
    capitals = sum(map(str.isupper, words)) / num_words
    yield Condition("too_many_uppercase_words", capitals, limits.max_uppercase_words, "<=", "max_uppercase_words")
    bare = sum(not any(map(str.isalpha, word)) for word in words) / num_words
    setting = "max_nonalphabetic_words"
    yield Condition("too_many_nonalphabetic_words", bare, limits.max_nonalphabetic_words, "<=", setting)
    alphabetic = [word for word in words if word.isalpha()]
    mean = sum(map(len, alphabetic)) / max(len(alphabetic), 1)
    yield Condition("words_too_short", mean, limits.min_mean_word_length, ">=", "min_mean_word_length")
    yield Condition("words_too_long", mean, limits.max_mean_word_length, "<=", "max_mean_word_length")
    num_stop_words = sum(word.lower() in _STOP_WORDS for word in words)
    yield Condition("too_few_stop_words", num_stop_words, limits.min_stop_words, ">=", "min_stop_words")


def _examine_lines(stats: TextStats, limits: MathpileSection) -> Iterator[Condition]:
    num_lines = max(len(stats.lines), 1)
    ellipses = (stats.text.count("...") + stats.text.count("\u2026")) / max(len(stats.words), 1)
    yield Condition("too_many_ellipses", ellipses, limits.max_ellipsis_ratio, "<=", "max_ellipsis_ratio")
    trailing = sum(line.endswith(_ELLIPSES) for line in stats.lines) / num_lines
    yield Condition("too_many_ellipsis_lines", trailing, limits.max_ellipsis_lines, "<=", "max_ellipsis_lines")
    bulleted = sum(line.startswith(_BULLETS) for line in stats.lines) / num_lines
    yield Condition("too_many_bullet_lines", bulleted, limits.max_bullet_lines, "<=", "max_bullet_lines")


def _sort_lines(text: str) -> tuple[list[str], list[Removal]]:
    kept: list[str] = []
    removed: list[Removal] = []
    for line in text.split("\n"):
        fault = _find_fault(line)
        if fault:
            removed.append(Removal(fault, line))
        else:
            kept.append(line)
    return kept, removed


def _find_fault(line: str) -> str | None:
    """Why a line is none of a text on mathematics."""
    lowered = line.lower()
    if "lorem ipsum" in lowered and len(lowered.replace("lorem ipsum", "").strip()) < 5:
        return "lorem_ipsum"
    if "javascript" in lowered and len(line) < 200 and _SWITCH.search(lowered):
        return "javascript"
    if _NAVIGATION.search(lowered) and len(line.split()) <= 10:
        return "navigation"
    return None
