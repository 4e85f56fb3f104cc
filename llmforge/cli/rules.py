"""What each rule of a stage did, as lines of a table."""

from llmforge.cli.output import count, share, table
from llmforge.pipeline.counts import Counts


def rule_lines(account: Counts, *, by_source: bool) -> list[str]:
    """For every rule: what it judged, would drop and was the first to drop, over all and, if asked, by source."""
    if not account.judged:
        return []
    rows = [["rule", "source", "judged", "would drop", "share", "first to drop"]]
    for rule, judged in account.judged.items():
        violated: dict[str, int] = dict(account.violated.get(rule, {}))
        for source in ["", *(sorted(judged) if by_source and len(account.by_source) > 1 else ())]:
            looked = judged[source] if source else judged.total()
            against = violated.get(source, 0) if source else sum(violated.values())
            first = sum(
                number
                for name, one in account.by_source.items()
                if source in ("", name)
                for full, number in one.documents.dropped.items()
                if full.split(".")[0] == rule
            )
            name = "" if source else rule
            rows.append([name, source or "all", count(looked), count(against), share(against, looked), count(first)])
    return table(rows)
