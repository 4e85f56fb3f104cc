"""Warnings that every stage draws from its account: rules that did nothing, or too much."""

from collections import Counter

from llmforge.core.errors import InputError
from llmforge.pipeline.counts import Counts, Flow


def rule_warnings(counts: Counts, max_drop_share: float) -> list[str]:
    """Rules that judged documents and never dropped one, and rules that emptied a source.

    Args:
        counts: the account of the stage.
        max_drop_share: the share of one source's documents (0 to 1) above which a rule's drops are a warning.
    """
    total = counts.total.documents
    # A rule's conditions are named rule.condition; an edit counts as much as a drop, and so does being second to drop.
    fired = {rule.split(".")[0] for rule in total.dropped} | set(total.dropped) | set(counts.violated)
    fired |= {name.removeprefix("edited_by_") for name in counts.measures if name.startswith("edited_by_")}
    silent = [rule for rule in counts.judged if rule not in fired]
    lines = [
        f"{rule} judged {counts.judged[rule].total():,} documents and dropped or changed none"
        for rule in sorted(silent)
    ]
    for source, account in sorted(counts.by_source.items()):
        flow = account.documents
        for rule, dropped in sorted(_by_rule(flow).items()):
            if dropped > max_drop_share * flow.came_in:
                lines.append(f"{rule} dropped {dropped:,} of the {flow.came_in:,} documents of {source!r}")
    return lines


def _by_rule(flow: Flow) -> Counter[str]:
    """Documents that each rule dropped, by whichever of its conditions."""
    dropped: Counter[str] = Counter()
    for name, count in flow.dropped.items():
        dropped[name.split(".")[0]] += count
    return dropped


def check_bad_fraction(counts: Counts, max_bad_fraction: float) -> None:
    """Stop if too many records could not be read, in any source or over all.

    Raises: InputError (exit 3) naming the source, the numbers and the most frequent errors.
    """
    flows = {f"source {name!r}": account.documents for name, account in counts.by_source.items()}
    for name, flow in {**flows, "all sources": counts.total.documents}.items():
        if flow.num_quarantined > max_bad_fraction * flow.came_in:
            raise InputError(
                _describe(name, flow, max_bad_fraction),
                "look at quarantine/ in the partial folder, "
                "mend the input, or raise max_bad_fraction; finished shards are kept",
            )


def _describe(name: str, flow: Flow, limit: float) -> str:
    errors = ", ".join(f"{error} {count:,}" for error, count in flow.quarantined.most_common(5))
    return (
        f"{name}: {flow.num_quarantined:,} of {flow.came_in:,} records are bad ({errors}); "
        f"allowed is a share of {limit:g}"
    )
