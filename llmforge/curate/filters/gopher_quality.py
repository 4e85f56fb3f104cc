"""The quality heuristics of MassiveText: is this text, and is it prose?

Source: Rae et al., Scaling Language Models (Gopher), arXiv 2112.11446, Table A1 and section A.1.1. Read as it is
written: words are separated by white space, every limit is allowed and only what is past it is dropped, hashes and
ellipses are judged one by one, and two *different* stop words are asked for, in any case. Empty lines are no lines.
"""

import re

from llmforge.config.curate_rules import GopherQualitySection
from llmforge.curate.filters.text_stats import TextStats
from llmforge.curate.readers.items import Verdict

_LETTER = re.compile(r"[^\W\d_]")
_ELLIPSIS = re.compile(r"\.\.\.|\. \. \.|\u2026")
_STOP_WORD = re.compile(r"\b(?:the|be|to|of|and|that|have|with)\b", re.IGNORECASE)
_BULLETS = ("\u2022", "\u25cf", "*", "-")
_ELLIPSES = ("...", ". . .", "\u2026")


def judge(stats: TextStats, limits: GopherQualitySection) -> Verdict | None:
    """The first condition that a text violates, in the order of the paper; None if it meets them all."""
    return _judge_words(stats.words, limits) or _judge_symbols(stats, limits) or _judge_language(stats, limits)


def _judge_words(words: list[str], limits: GopherQualitySection) -> Verdict | None:
    if len(words) < limits.min_words:
        return _violated("too_few_words", len(words), limits.min_words)
    if len(words) > limits.max_words:
        return _violated("too_many_words", len(words), limits.max_words)
    mean = sum(map(len, words)) / max(len(words), 1)
    if mean < limits.min_mean_word_length:
        return _violated("words_too_short", mean, limits.min_mean_word_length)
    if mean > limits.max_mean_word_length:
        return _violated("words_too_long", mean, limits.max_mean_word_length)
    return None


def _judge_symbols(stats: TextStats, limits: GopherQualitySection) -> Verdict | None:
    num_words, lines = len(stats.words), stats.lines
    hashes = stats.text.count("#") / max(num_words, 1)
    if hashes > limits.max_hash_ratio:
        return _violated("too_many_hashes", hashes, limits.max_hash_ratio)
    ellipses = len(_ELLIPSIS.findall(stats.text)) / max(num_words, 1)
    if ellipses > limits.max_ellipsis_ratio:
        return _violated("too_many_ellipses", ellipses, limits.max_ellipsis_ratio)
    bulleted = sum(line.startswith(_BULLETS) for line in lines) / max(len(lines), 1)
    if bulleted > limits.max_bullet_lines:
        return _violated("too_many_bullet_lines", bulleted, limits.max_bullet_lines)
    trailing = sum(line.endswith(_ELLIPSES) for line in lines) / max(len(lines), 1)
    if trailing > limits.max_ellipsis_lines:
        return _violated("too_many_ellipsis_lines", trailing, limits.max_ellipsis_lines)
    return None


def _judge_language(stats: TextStats, limits: GopherQualitySection) -> Verdict | None:
    words = stats.words
    num_alphabetic = sum(word.isalpha() or _LETTER.search(word) is not None for word in words)
    alphabetic = num_alphabetic / max(len(words), 1)
    if alphabetic < limits.min_alphabetic_words:
        return _violated("too_few_alphabetic_words", alphabetic, limits.min_alphabetic_words)
    num_stop_words = _count_stop_words(stats.text, limits.min_stop_words)
    if num_stop_words < limits.min_stop_words:
        return _violated("too_few_stop_words", num_stop_words, limits.min_stop_words)
    return None


def _count_stop_words(text: str, enough: int) -> int:
    """How many different stop words the text holds; counting stops at `enough`."""
    found: set[str] = set()
    for match in _STOP_WORD.finditer(text):
        if len(found) >= enough:
            break
        found.add(match[0].lower())
    return len(found)


def _violated(condition: str, value: float, limit: float) -> Verdict:
    return Verdict(f"gopher_quality.{condition}", round(value, 6), limit)
