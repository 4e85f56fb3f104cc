"""What each rule of a stage did, as lines of a table."""

from llmforge.cli.output import count, share, table
from llmforge.pipeline.counts import Counts


def rule_lines(account: Counts, *, by_source: bool) -> list[str]:
    """For every rule: what it judged and dropped, over all and, if asked, by source.

    Where every rule measures every document, what a rule would drop stands beside what it was first to drop; where
    one has edited texts, how many does too, over all sources.
    """
    if not account.judged:
        return []
    measures_all = bool(account.violated)
    shown = ["would drop", "share", "first to drop"] if measures_all else ["dropped", "share"]
    edits_any = any(_edits(account, rule) for rule in account.judged)
    rows = [["rule", "source", "judged", *shown, *(["edited"] if edits_any else [])]]
    for rule, judged in account.judged.items():
        dropped = _drops(account, rule)
        against: dict[str, int] = dict(account.violated.get(rule, {})) if measures_all else dropped
        for source in ["", *(sorted(judged) if by_source and len(account.by_source) > 1 else ())]:
            looked, went, first = (_of(counted, source) for counted in (judged, against, dropped))
            figures = [count(looked), count(went), share(went, looked), *([count(first)] if measures_all else [])]
            edited = [] if not edits_any else [""] if source else [count(_edits(account, rule))]
            rows.append(["" if source else rule, source or "all", *figures, *edited])
    return table(rows)


def _of(counted: dict[str, int], source: str) -> int:
    """The number of one source; of all where none is named."""
    return counted.get(source, 0) if source else sum(counted.values())


def _edits(account: Counts, rule: str) -> int:
    """Documents whose text the rule changed."""
    return account.measures[f"edited_by_{rule}"]


def _drops(account: Counts, rule: str) -> dict[str, int]:
    """Documents that fell to any condition of the rule, by source."""
    return {
        source: sum(number for name, number in one.documents.dropped.items() if name.split(".")[0] == rule)
        for source, one in account.by_source.items()
    }
