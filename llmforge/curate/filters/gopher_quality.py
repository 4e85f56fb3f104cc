"""The quality heuristics of MassiveText: is this text, and is it prose?

Source: Rae et al., Scaling Language Models (Gopher), arXiv 2112.11446, Table A1 and section A.1.1. Read as it is
written: words are separated by white space, every limit is allowed and only what is past it is dropped, hashes and
ellipses are judged one by one, and two *different* stop words are asked for, in any case. Empty lines are no lines.
"""

import re
from collections.abc import Iterator

from llmforge.config.filters.prose import GopherQualitySection
from llmforge.curate.filters.findings import Condition
from llmforge.curate.filters.text_stats import TextStats

_ELLIPSIS = re.compile(r"\.\.\.|\. \. \.|\u2026")
_STOP_WORDS = tuple(re.compile(rf"\b{word}\b") for word in "the be to of and that have with".split())
_BULLETS = ("\u2022", "\u25cf", "*", "-")
_ELLIPSES = ("...", ". . .", "\u2026")


def examine(stats: TextStats, limits: GopherQualitySection) -> Iterator[Condition]:
    """The conditions in the order of the paper."""
    yield from _examine_words(stats.words, limits)
    yield from _examine_symbols(stats, limits)
    yield from _examine_language(stats, limits)


def _examine_words(words: list[str], limits: GopherQualitySection) -> Iterator[Condition]:
    yield Condition("too_few_words", len(words), limits.min_words, ">=", "min_words")
    yield Condition("too_many_words", len(words), limits.max_words, "<=", "max_words")
    mean = sum(map(len, words)) / max(len(words), 1)
    yield Condition("words_too_short", mean, limits.min_mean_word_length, ">=", "min_mean_word_length")
    yield Condition("words_too_long", mean, limits.max_mean_word_length, "<=", "max_mean_word_length")


def _examine_symbols(stats: TextStats, limits: GopherQualitySection) -> Iterator[Condition]:
    num_words, lines = max(len(stats.words), 1), stats.lines
    hashes = stats.text.count("#") / num_words
    yield Condition("too_many_hashes", hashes, limits.max_hash_ratio, "<=", "max_hash_ratio")
    ellipses = _count_ellipses(stats.text) / num_words
    yield Condition("too_many_ellipses", ellipses, limits.max_ellipsis_ratio, "<=", "max_ellipsis_ratio")
    bulleted = sum(line.startswith(_BULLETS) for line in lines) / max(len(lines), 1)
    yield Condition("too_many_bullet_lines", bulleted, limits.max_bullet_lines, "<=", "max_bullet_lines")
    trailing = sum(line.endswith(_ELLIPSES) for line in lines) / max(len(lines), 1)
    yield Condition("too_many_ellipsis_lines", trailing, limits.max_ellipsis_lines, "<=", "max_ellipsis_lines")


def _examine_language(stats: TextStats, limits: GopherQualitySection) -> Iterator[Condition]:
    words = stats.words
    others = [word for word in words if not word.isalpha()]
    num_alphabetic = len(words) - len(others) + sum(map(_has_letter, others))
    alphabetic = num_alphabetic / max(len(words), 1)
    yield Condition("too_few_alphabetic_words", alphabetic, limits.min_alphabetic_words, ">=", "min_alphabetic_words")
    found = sum(pattern.search(stats.lowered) is not None for pattern in _STOP_WORDS)
    yield Condition("too_few_stop_words", found, limits.min_stop_words, ">=", "min_stop_words")


def _has_letter(word: str) -> bool:
    return word[0].isalpha() or any(map(str.isalpha, word))  # most words begin with one


def _count_ellipses(text: str) -> int:
    """Ellipses of all three forms; only where two forms meet can they share a stop, and the pattern has to tell."""
    dense, loose = text.count("..."), text.count(". . .")
    return len(_ELLIPSIS.findall(text)) if dense and loose else dense + loose + text.count("\u2026")
