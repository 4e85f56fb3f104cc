"""One form for what looks the same, so that equal texts are equal bytes.

Source: Unicode Standard Annex 15 (normalisation forms). Line ends become newlines; control characters other than tab
and newline, and the byte order mark, go; so does space at the ends of lines.
"""

import re
import unicodedata
from collections.abc import Iterator

from llmforge.config.filters.general import NormalizeTextSection
from llmforge.curate.filters.findings import Edited, Removal
from llmforge.curate.filters.text_stats import TextStats

_LINE_ENDS = re.compile(r"\r\n?|\u2028|\u2029")
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ufeff]")
_TRAILING = re.compile(r"[^\S\n]+$", re.MULTILINE)


def examine(stats: TextStats, limits: NormalizeTextSection) -> Iterator[Edited]:
    """The text in its one form; what was changed is counted once a document."""
    text = stats.text
    removed = []
    for reason, pattern, by in (
        ("line_ends", _LINE_ENDS, "\n"),
        ("control_characters", _CONTROLS, ""),
        ("space_at_line_ends", _TRAILING, ""),
    ):
        if found := pattern.search(text):
            removed.append(Removal(reason, found[0]))
            text = pattern.sub(by, text)
    if not unicodedata.is_normalized(limits.form, text):
        removed.append(Removal("unicode_form", ""))
        text = unicodedata.normalize(limits.form, text)
    if removed:
        yield Edited(text, tuple(removed))
