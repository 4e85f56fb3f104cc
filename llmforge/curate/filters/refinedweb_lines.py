r"""RefinedWeb's corrections line by line: lines that are no part of the text go, and a page that loses much goes whole.

A line goes that is mainly capitals, that is nothing but digits, that is one word, or that counts something ("3 likes").
Of short lines, phrases of navigation go: `items in cart` anywhere, `sign-in` at the start, `read more...` at the end,
in any case and letter by letter (published code takes the dots for any character).
Empty lines stay as they are: they part paragraphs.

Source: Penedo et al., The RefinedWeb Dataset, arXiv 2306.01116, appendix G.2, figure 6 and table 8 (line-wise
filters); the pattern of counters and the limits of shares as in Li et al., DataComp-LM, arXiv 2406.11794.
"""

import re
from collections.abc import Iterator

from llmforge.config.filters.web import RefinedwebLinesSection
from llmforge.curate.filters.findings import Condition, Edited, Finding, Removal
from llmforge.curate.filters.text_stats import TextStats

_COUNTER = re.compile(
    r"\W*\d[\d,.]*[kmb]?\s+(?:likes|shares|comments|retweets|reposts|quotes|bookmarks|upvotes|downvotes|downloads"
    r"|views|followers)\W*"
)
_NAVIGATION = re.compile(r"^\s*sign-in|items in cart|read more\.\.\.\s*$", re.IGNORECASE)


def examine(stats: TextStats, limits: RefinedwebLinesSection) -> Iterator[Finding]:
    """The lines that stay, and the share of words that went."""
    kept: list[str] = []
    removed: list[Removal] = []
    num_removed = 0
    for line in stats.text.split("\n"):
        words = line.split()
        if not words:
            kept.append(line)
        elif fault := _find_fault(line, len(words), limits):
            removed.append(Removal(fault, line))
            num_removed += len(words)
        elif len(words) <= limits.short_line_words and (found := _NAVIGATION.search(line)):
            shorter = _NAVIGATION.sub("", line).strip()
            removed.append(Removal("navigation", found[0]))
            num_removed += len(words) - len(shorter.split())
            kept.extend([shorter] if shorter else [])
        else:
            kept.append(line)
    if removed:
        yield Edited("\n".join(kept).strip(), tuple(removed))
    share = num_removed / max(len(stats.words), 1)
    yield Condition("too_many_removed_words", share, limits.max_removed_words, "<=", "max_removed_words")


def _find_fault(line: str, num_words: int, limits: RefinedwebLinesSection) -> str | None:
    """Why a line is no part of the text."""
    if sum(map(str.isupper, line)) > limits.max_uppercase * len(line):
        return "capitals"
    if sum(map(str.isdigit, line)) > limits.max_digits * len(line):
        return "digits"
    if num_words < limits.min_words:
        return "few_words"
    return "counter" if _COUNTER.fullmatch(line.lower()) else None
