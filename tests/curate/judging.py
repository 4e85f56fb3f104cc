"""One rule over one text."""

from typing import Any

from llmforge.curate.filters.findings import Condition, Edited
from llmforge.curate.filters.table import find_rule
from llmforge.curate.filters.text_stats import TextStats
from llmforge.curate.readers.items import Verdict


def judge(stats: TextStats, limits: Any) -> Verdict | Edited | None:
    """What the rule decides."""
    return find_rule(limits.rule, limits).judge(stats)


def values(stats: TextStats, limits: Any) -> dict[str, Any]:
    """Every value that the rule measures."""
    rule = find_rule(limits.rule, limits)
    return {found.name: found.value for found in rule.examine(stats) if isinstance(found, Condition)}
