"""Rules by name, imported when asked for."""

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from llmforge.curate.filters.text_stats import TextStats
from llmforge.curate.readers.items import Verdict


@dataclass(frozen=True, slots=True)
class Edited:
    """A rule keeps a document, with this text in place of its own."""

    text: str


Judge = Callable[[TextStats, Any], Verdict | Edited | None]
"""A rule: a text and the rule's section of the settings to a verdict, a new text, or None to keep it as it is."""

_WHERE = {
    "c4": "llmforge.curate.filters.c4",
    "fineweb": "llmforge.curate.filters.fineweb",
    "gopher_quality": "llmforge.curate.filters.gopher_quality",
    "gopher_repetition": "llmforge.curate.filters.gopher_repetition",
}


def find_filter(rule: str) -> Judge:
    """The rule of this name; its variants (`@dclm`) stand in one module."""
    judge: Judge = import_module(_WHERE[rule.split("@")[0]]).judge
    return judge
