"""One rule over one text."""

from dataclasses import replace
from typing import Any

from llmforge.curate.filters.findings import Condition, Edited
from llmforge.curate.filters.table import find_rule
from llmforge.curate.filters.text_stats import TextStats
from llmforge.curate.judging import to_verdict
from llmforge.curate.readers.items import Verdict


def judge(stats: TextStats, limits: Any, name: str | None = None) -> Verdict | Edited | None:
    """The first violation, without its evidence; else the new text, if the rule has edited; else None."""
    rule = find_rule(name or limits.rule, limits)
    edited = None
    for finding in rule.examine(stats):
        if isinstance(finding, Edited):
            edited = finding
        elif finding.violated:
            return replace(to_verdict(rule, finding), evidence=None)
    return edited


def values(stats: TextStats, limits: Any) -> dict[str, Any]:
    """Every value that the rule measures."""
    rule = find_rule(limits.rule, limits)
    return {found.name: found.value for found in rule.examine(stats) if isinstance(found, Condition)}
