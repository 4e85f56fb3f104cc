"""Text whose encoding was mistaken for another ("schÃ¶n"), mended line by line; a line that is sound stays as it is.

Source: Speer, ftfy (Zenodo 2591652). Only encodings are mended: entities, quotation marks, ligatures and control
characters stay, since they may be meant.
"""

from collections.abc import Iterator

from llmforge.config.filters.general import RepairTextSection
from llmforge.curate.filters.findings import Edited, Removal
from llmforge.curate.filters.text_stats import TextStats


def examine(stats: TextStats, _limits: RepairTextSection) -> Iterator[Edited]:
    """The text with its broken lines mended."""
    if stats.text.isascii():
        return
    from ftfy import fix_encoding

    lines = stats.text.split("\n")
    mended = [line if line.isascii() else fix_encoding(line) for line in lines]
    removed = [Removal("mojibake", old) for old, new in zip(lines, mended, strict=True) if old != new]
    if removed:
        yield Edited("\n".join(mended), tuple(removed))
