"""The quality heuristics of MassiveText: is this text, and is it prose?

                      as the paper is written               @datatrove
    words             what white space separates            without punctuation; ratios are of words and marks, so that
                                                            text full of marks has too few words with a letter
    ellipses          three dots, with or without spaces    three dots, or the sign
                      between, or the sign
    bullets           both round ones, star and hyphen      the small round one and hyphen
    lines             that hold something                   empty ones too
    stop words        two different ones, in any case       two different ones in small letters

Every limit is allowed and only what is past it is dropped; hashes and ellipses are judged one by one.

Source: Rae et al., Scaling Language Models (Gopher), arXiv 2112.11446, Table A1 and section A.1.1; datatrove,
GopherQualityFilter, which made FineWeb.
"""

import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from llmforge.config.filters.prose import GopherQualitySection
from llmforge.curate.filters.findings import Condition
from llmforge.curate.filters.text_stats import TextStats

_ELLIPSIS = re.compile(r"\.\.\.|\. \. \.|\u2026")
_STOP_WORDS = frozenset("the be to of and that have with".split())
_STOP_PATTERNS = tuple(re.compile(rf"\b{word}\b") for word in sorted(_STOP_WORDS))


class _Parts(NamedTuple):
    """A text as a variant sees it; `units` is what ratios are of."""

    words: Sequence[str]
    units: Sequence[str]
    lines: Sequence[str]
    num_ellipses: int
    num_stop_words: int
    bullets: tuple[str, ...]
    ellipses: tuple[str, ...]


def examine(stats: TextStats, limits: GopherQualitySection) -> Iterator[Condition]:
    """The conditions in the order of the paper."""
    parts = _as_datatrove(stats) if limits.rule == "gopher_quality@datatrove" else _as_written(stats)
    yield from _examine_words(parts.words, limits)
    yield from _examine_symbols(stats.text, parts, limits)
    # Most words begin with a letter.
    num_alphabetic = sum(unit[0].isalpha() or any(map(str.isalpha, unit)) for unit in parts.units)
    alphabetic = num_alphabetic / max(len(parts.units), 1)
    yield Condition("too_few_alphabetic_words", alphabetic, limits.min_alphabetic_words, ">=", "min_alphabetic_words")
    yield Condition("too_few_stop_words", parts.num_stop_words, limits.min_stop_words, ">=", "min_stop_words")


def _as_written(stats: TextStats) -> _Parts:
    num_stop_words = sum(pattern.search(stats.lowered) is not None for pattern in _STOP_PATTERNS)
    bullets, ellipses = ("\u2022", "\u25cf", "*", "-"), ("...", ". . .", "\u2026")
    num_ellipses = _count_ellipses(stats.text)
    return _Parts(stats.words, stats.words, stats.lines, num_ellipses, num_stop_words, bullets, ellipses)


def _as_datatrove(stats: TextStats) -> _Parts:
    words = [token for token in stats.tokens if len(token) > 1 or token.isalnum()]
    lines = [line.strip() for line in stats.text.splitlines()]
    num_ellipses = stats.text.count("...") + stats.text.count("\u2026")
    num_stop_words = len(_STOP_WORDS.intersection(words))
    return _Parts(words, stats.tokens, lines, num_ellipses, num_stop_words, ("\u2022", "-"), ("...", "\u2026"))


def _examine_words(words: Sequence[str], limits: GopherQualitySection) -> Iterator[Condition]:
    yield Condition("too_few_words", len(words), limits.min_words, ">=", "min_words")
    yield Condition("too_many_words", len(words), limits.max_words, "<=", "max_words")
    mean = sum(map(len, words)) / max(len(words), 1)
    yield Condition("words_too_short", mean, limits.min_mean_word_length, ">=", "min_mean_word_length")
    yield Condition("words_too_long", mean, limits.max_mean_word_length, "<=", "max_mean_word_length")


def _examine_symbols(text: str, parts: _Parts, limits: GopherQualitySection) -> Iterator[Condition]:
    num_units, lines = max(len(parts.units), 1), parts.lines
    hashes = text.count("#") / num_units
    yield Condition("too_many_hashes", hashes, limits.max_hash_ratio, "<=", "max_hash_ratio")
    ellipses = parts.num_ellipses / num_units
    yield Condition("too_many_ellipses", ellipses, limits.max_ellipsis_ratio, "<=", "max_ellipsis_ratio")
    bulleted = sum(line.startswith(parts.bullets) for line in lines) / max(len(lines), 1)
    yield Condition("too_many_bullet_lines", bulleted, limits.max_bullet_lines, "<=", "max_bullet_lines")
    trailing = sum(line.endswith(parts.ellipses) for line in lines) / max(len(lines), 1)
    yield Condition("too_many_ellipsis_lines", trailing, limits.max_ellipsis_lines, "<=", "max_ellipsis_lines")


def _count_ellipses(text: str) -> int:
    """Ellipses of all three forms; only where two forms meet can they share a stop, and the pattern has to tell."""
    dense, loose = text.count("..."), text.count(". . .")
    return len(_ELLIPSIS.findall(text)) if dense and loose else dense + loose + text.count("\u2026")
