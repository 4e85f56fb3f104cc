"""Rules by name: where each stands, what kinds of content it judges, and whether it edits; imported when asked for."""

from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module
from typing import Any, NamedTuple

from llmforge.curate.filters.findings import Examine, Finding
from llmforge.curate.filters.text_stats import TextStats
from llmforge.curate.readers.items import ContentKind


class _Entry(NamedTuple):
    module: str
    kinds: frozenset[ContentKind]
    edits: bool = False
    judges_url: bool = False


_PROSE: frozenset[ContentKind] = frozenset({"prose"})
_CODE: frozenset[ContentKind] = frozenset({"code"})
_LANGUAGE: frozenset[ContentKind] = frozenset({"prose", "maths"})
_ANY: frozenset[ContentKind] = frozenset({"prose", "code", "maths"})
_HERE = "llmforge.curate.filters"

_RULES = {
    "language": _Entry("llmforge.curate.language", _LANGUAGE),
    "url_lists": _Entry(f"{_HERE}.url_lists", _ANY, judges_url=True),
    "repair_text": _Entry(f"{_HERE}.repair_text", _ANY, edits=True),
    "normalize_text": _Entry(f"{_HERE}.normalize_text", _ANY, edits=True),
    "pii": _Entry(f"{_HERE}.pii", _ANY, edits=True),
    "secrets": _Entry(f"{_HERE}.secrets", _ANY, edits=True),
    "classifier": _Entry(f"{_HERE}.classifier", _ANY),
    "bad_words": _Entry(f"{_HERE}.bad_words", _LANGUAGE),
    "quality_scores": _Entry(f"{_HERE}.quality_scores", _LANGUAGE),
    "gopher_quality": _Entry(f"{_HERE}.gopher_quality", _PROSE),
    "gopher_repetition": _Entry(f"{_HERE}.gopher_repetition", _PROSE),
    "c4": _Entry(f"{_HERE}.c4", _PROSE, edits=True),
    "mc4": _Entry(f"{_HERE}.mc4", _PROSE),
    "fineweb": _Entry(f"{_HERE}.fineweb", _PROSE),
    "urls_in_text": _Entry(f"{_HERE}.urls_in_text", _PROSE, edits=True),
    "refinedweb_lines": _Entry(f"{_HERE}.refinedweb_lines", _PROSE, edits=True),
    "mathpile": _Entry(f"{_HERE}.mathpile", _LANGUAGE, edits=True),
    "stack": _Entry(f"{_HERE}.stack", _CODE),
    "license": _Entry(f"{_HERE}.license", _CODE),
    "decontaminate": _Entry(f"{_HERE}.decontaminate", _ANY),
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


def find_rule(name: str, limits: Any) -> Rule:
    """The rule of this name (its variants, `@paper`, stand in one module) with these limits."""
    entry = _RULES[name.split("@")[0]]
    examine = import_module(entry.module).examine
    return Rule(name, limits, entry.kinds, entry.edits, entry.judges_url, examine)
