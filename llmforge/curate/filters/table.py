"""Rules by name: where each stands, what kinds of content it judges, and whether it edits; imported when asked for."""

from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module
from typing import Any, NamedTuple

from llmforge.curate.filters.findings import Edited, Examine, Finding, decide
from llmforge.curate.filters.text_stats import TextStats
from llmforge.curate.readers.items import ContentKind, Verdict


class _Entry(NamedTuple):
    module: str
    kinds: frozenset[ContentKind]
    edits: bool = False
    judges_url: bool = False


_PROSE: frozenset[ContentKind] = frozenset({"prose"})
_LANGUAGE: frozenset[ContentKind] = frozenset({"prose", "maths"})

_RULES = {
    "language": _Entry("llmforge.curate.language", _LANGUAGE),
    "c4": _Entry("llmforge.curate.filters.c4", _PROSE, edits=True),
    "fineweb": _Entry("llmforge.curate.filters.fineweb", _PROSE),
    "gopher_quality": _Entry("llmforge.curate.filters.gopher_quality", _PROSE),
    "gopher_repetition": _Entry("llmforge.curate.filters.gopher_repetition", _PROSE),
}


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule with its limits.

    Attributes:
        name: with its variant, as in the settings (`c4@paper`).
        limits: its section of the settings.
        kinds: the kinds of content that it is made for.
        edits: whether it may change the text.
        judges_url: whether the address alone decides, so that it can judge a page before its text is extracted.
    """

    name: str
    limits: Any
    kinds: frozenset[ContentKind]
    edits: bool
    judges_url: bool
    _examine: Examine

    def examine(self, stats: TextStats) -> Iterator[Finding]:
        """Everything that the rule measures or edits, in its published order, each when it is asked for."""
        return self._examine(stats, self.limits)

    def judge(self, stats: TextStats) -> Verdict | Edited | None:
        """Why the document goes; or its new text; or None if it stays as it is."""
        return decide(self.name, self._examine(stats, self.limits))


def find_rule(name: str, limits: Any) -> Rule:
    """The rule of this name (its variants, `@paper`, stand in one module) with these limits."""
    entry = _RULES[name.split("@")[0]]
    examine = import_module(entry.module).examine
    return Rule(name, limits, entry.kinds, entry.edits, entry.judges_url, examine)
