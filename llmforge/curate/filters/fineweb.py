"""FineWeb's own filters, found by comparing the statistics of good and bad crawls.

                                           drops @paper           drops @code
    lines that end in . ? ! " '            share <= 0.12          share < 0.12
    characters in second and later copies  share >= 0.1           share > 0.01
    of lines
    lines of at most 30 characters         share >= 0.67          share > 0.67
    line ends a word                       -                      > 0.3

Empty lines are no lines. The code takes lines with the space around them, so that a full stop before a space ends no
line. Words are words and punctuation marks, told by Unicode's character classes where datatrove has
spaCy.

Source: Penedo et al., The FineWeb Datasets, arXiv 2406.17557, section 3.6; datatrove, FineWebQualityFilter.
"""

from collections.abc import Callable
from operator import ge, gt, le, lt

from llmforge.config.curate_rules import FinewebCodeSection, FinewebPaperSection
from llmforge.curate.filters.gopher_repetition import find_later_copies
from llmforge.curate.filters.text_stats import TextStats
from llmforge.curate.readers.items import Verdict

_TERMINAL = (".", "?", "!", '"', "'")


def judge(stats: TextStats, limits: FinewebPaperSection | FinewebCodeSection) -> Verdict | None:
    """The first condition that a text violates; None if it meets them all."""
    by_code = isinstance(limits, FinewebCodeSection)
    too_few: Callable[[float, float], bool] = lt if by_code else le
    too_many: Callable[[float, float], bool] = gt if by_code else ge
    lines = [line for line in stats.text.split("\n") if line.strip()] if by_code else stats.lines
    if not lines:
        return Verdict(f"{limits.rule}.no_line", 0, 1)
    punctuated = sum(line.endswith(_TERMINAL) for line in lines) / len(lines)
    if too_few(punctuated, limits.min_punctuated_lines):
        return _violated(limits.rule, "too_few_punctuated_lines", punctuated, limits.min_punctuated_lines)
    short = sum(len(line) <= limits.short_line_chars for line in lines) / len(lines)
    if too_many(short, limits.max_short_lines):
        return _violated(limits.rule, "too_many_short_lines", short, limits.max_short_lines)
    num_chars = len(stats.text) - stats.text.count("\n")
    copied = sum(map(len, find_later_copies(lines))) / num_chars
    if too_many(copied, limits.max_duplicate_line_chars):
        return _violated(limits.rule, "duplicate_line_chars", copied, limits.max_duplicate_line_chars)
    return _judge_line_ends(stats, limits) if isinstance(limits, FinewebCodeSection) else None


def _judge_line_ends(stats: TextStats, limits: FinewebCodeSection) -> Verdict | None:
    ends_a_word = stats.text.count("\n") / max(len(stats.tokens), 1)
    if ends_a_word > limits.max_line_ends_per_word:
        return _violated(limits.rule, "too_many_line_ends", ends_a_word, limits.max_line_ends_per_word)
    return None


def _violated(rule: str, condition: str, value: float, limit: float) -> Verdict:
    return Verdict(f"{rule}.{condition}", round(value, 6), limit)
