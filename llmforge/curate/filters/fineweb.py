"""FineWeb's own filters, found by comparing the statistics of good and bad crawls.

                                           drops @paper           drops @code
    lines that end in . ? ! " '            share <= 0.12          share < 0.12
    characters in second and later copies  share >= 0.1           share > 0.01
    of lines
    lines of at most 30 characters         share >= 0.67          share > 0.67
    line ends a word                       -                      > 0.3

Empty lines are no lines. The code takes lines with the space around them, so that a full stop before a space ends no
line. Words are words and punctuation marks, cut nearly as spaCy cuts them, which datatrove has.

Source: Penedo et al., The FineWeb Datasets, arXiv 2406.17557, section 3.6; datatrove, FineWebQualityFilter.
"""

from collections.abc import Iterator

from llmforge.config.filters.prose import FinewebCodeSection, FinewebPaperSection
from llmforge.curate.filters.findings import Condition, Relation
from llmforge.curate.filters.gopher_repetition import find_later_copies
from llmforge.curate.filters.text_stats import TextStats

_TERMINAL = (".", "?", "!", '"', "'")


def examine(stats: TextStats, limits: FinewebPaperSection | FinewebCodeSection) -> Iterator[Condition]:
    """The conditions in the order of the code."""
    by_code = isinstance(limits, FinewebCodeSection)
    enough: Relation = ">=" if by_code else ">"
    few: Relation = "<=" if by_code else "<"
    lines = [line for line in stats.text.split("\n") if line.strip()] if by_code else stats.lines
    yield Condition("no_line", len(lines), 1, ">=")
    num_lines = max(len(lines), 1)
    punctuated = sum(line.endswith(_TERMINAL) for line in lines) / num_lines
    yield Condition("too_few_punctuated_lines", punctuated, limits.min_punctuated_lines, enough, "min_punctuated_lines")
    short = sum(len(line) <= limits.short_line_chars for line in lines) / num_lines
    yield Condition("too_many_short_lines", short, limits.max_short_lines, few, "max_short_lines")
    copies = find_later_copies(lines)
    num_chars = len(stats.text) - stats.text.count("\n")
    yield Condition(
        "duplicate_line_chars",
        sum(map(len, copies)) / max(num_chars, 1),
        limits.max_duplicate_line_chars,
        few,
        "max_duplicate_line_chars",
        lambda: max(copies, key=len, default=""),
    )
    if isinstance(limits, FinewebCodeSection):
        ends = stats.text.count("\n") / max(len(stats.tokens), 1)
        limit = limits.max_line_ends_per_word
        yield Condition("too_many_line_ends", ends, limit, "<=", "max_line_ends_per_word")
