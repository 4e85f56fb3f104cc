"""Rules by name, imported when asked for."""

from collections.abc import Callable
from importlib import import_module
from typing import Any

from llmforge.curate.readers.items import Verdict

Judge = Callable[[str, Any], Verdict | None]
"""A rule: the text and the rule's section of the settings to a verdict, or None to keep."""

_WHERE = {"gopher_quality": "llmforge.curate.filters.gopher_quality"}


def find_filter(rule: str) -> Judge:
    """The rule of this name."""
    judge: Judge = import_module(_WHERE[rule]).judge
    return judge
