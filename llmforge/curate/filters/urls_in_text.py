"""RefinedWeb's edit of text before its filters: addresses go, and so do empty lines beyond one.

Source: Penedo et al., The RefinedWeb Dataset, arXiv 2306.01116, appendix G.2 (text extraction).
"""

import re
from collections.abc import Iterator

from llmforge.config.filters.web import UrlsInTextSection
from llmforge.curate.filters.findings import Edited, Removal
from llmforge.curate.filters.text_stats import TextStats

# The stop or bracket after an address belongs to the sentence.
_ADDRESS = re.compile(r"(?:https?://|www\.)[^\s<>\"']*[^\s<>\"'.,;:!?)\]}]", re.IGNORECASE)
_EMPTY_LINES = re.compile(r"\n{3,}")


def examine(stats: TextStats, _limits: UrlsInTextSection) -> Iterator[Edited]:
    """The text without addresses."""
    removed = [Removal("address", found) for found in _ADDRESS.findall(stats.text)]
    removed += [Removal("empty_lines", found) for found in _EMPTY_LINES.findall(stats.text)]
    if removed:
        yield Edited(_EMPTY_LINES.sub("\n\n", _ADDRESS.sub("", stats.text)), tuple(removed))
