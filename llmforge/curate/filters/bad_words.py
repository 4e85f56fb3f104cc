"""Word lists against toxic pages: @c4 drops a page with one word of the list, @share one with too large a share.

Words and phrases count as wholes, in small letters. In scripts without spaces between words (Chinese, Japanese, Thai)
they count wherever they stand.

Source: Raffel et al., arXiv 1910.10683, section 2.2, and TensorFlow Datasets, c4_utils (@c4); Chen et al., Data-Juicer,
arXiv 2309.02033, flagged_words_filter (@share).
"""

import re
from collections.abc import Iterator
from functools import lru_cache

from llmforge.config.filters.web import BadWordsSection, FlaggedWordsSection
from llmforge.curate.filters.findings import Condition
from llmforge.curate.filters.named_files import read_entries
from llmforge.curate.filters.text_stats import TextStats

_UNSPACED = re.compile(r"[\u0e00-\u0e7f\u3040-\u30ff\u3400-\u9fff]")


def examine(stats: TextStats, limits: BadWordsSection | FlaggedWordsSection) -> Iterator[Condition]:
    """How many words of the list the text holds."""
    found = _pattern(limits).findall(stats.lowered)
    if isinstance(limits, BadWordsSection):
        yield Condition("bad_words", len(found), limits.max_words, "<=", "max_words", lambda: " ".join(found[:10]))
    else:
        share = sum(len(phrase.split()) for phrase in found) / max(len(stats.words), 1)
        yield Condition("too_many_bad_words", share, limits.max_share, "<=", "max_share", lambda: " ".join(found[:10]))


@lru_cache(maxsize=16)
def _pattern(limits: BadWordsSection | FlaggedWordsSection) -> re.Pattern[str]:
    """One pattern for the whole list; the longest entries are tried first."""
    words = sorted(read_entries(limits, limits.words), key=lambda word: (-len(word), word))
    spaced = "|".join(re.escape(word) for word in words if not _UNSPACED.search(word))
    unspaced = "|".join(re.escape(word) for word in words if _UNSPACED.search(word))
    parts = [rf"(?<!\w)(?:{spaced})(?!\w)" if spaced else "", unspaced]
    return re.compile("|".join(filter(None, parts)))
