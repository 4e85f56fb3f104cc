"""The account of a stage: every document and byte that came in is kept, dropped, quarantined or merged.

A `Counts` is made by one shard, written to its record, and summed over the records on disk. Per source:

    documents: in = kept + dropped + quarantined + merged
    bytes:     in = kept + dropped + quarantined + merged + edited

`edited` is what extraction and edits removed from documents that were kept; it is negative where an edit (a
change of character set, say) made a text longer.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from llmforge.core.errors import LlmforgeError


@dataclass
class Flow:
    """Documents, or bytes, of one source through one stage."""

    came_in: int = 0
    kept: int = 0
    dropped: Counter[str] = field(default_factory=Counter)
    quarantined: Counter[str] = field(default_factory=Counter)
    merged: int = 0
    edited: int = 0

    @property
    def num_dropped(self) -> int:
        """All drops, over the rules."""
        return self.dropped.total()

    @property
    def num_quarantined(self) -> int:
        """All quarantines, over the errors."""
        return self.quarantined.total()

    @property
    def missing(self) -> int:
        """What came in and is not accounted for; 0 in a sound account."""
        return self.came_in - self.kept - self.num_dropped - self.num_quarantined - self.merged - self.edited

    def add(self, other: Flow) -> None:
        """Add another flow to this one."""
        self.came_in += other.came_in
        self.kept += other.kept
        self.dropped.update(other.dropped)
        self.quarantined.update(other.quarantined)
        self.merged += other.merged
        self.edited += other.edited

    def to_dict(self) -> dict[str, Any]:
        """The flow as it stands in records and manifests."""
        return {
            "in": self.came_in,
            "kept": self.kept,
            "dropped": dict(sorted(self.dropped.items())),
            "quarantined": dict(sorted(self.quarantined.items())),
            "merged": self.merged,
            "edited": self.edited,
        }

    @classmethod
    def from_dict(cls, value: dict[str, Any]) -> Flow:
        """Read what `to_dict` wrote."""
        return cls(
            value["in"],
            value["kept"],
            Counter(value["dropped"]),
            Counter(value["quarantined"]),
            value["merged"],
            value["edited"],
        )


@dataclass
class SourceCounts:
    """The account of one source."""

    documents: Flow = field(default_factory=Flow)
    bytes: Flow = field(default_factory=Flow)

    def to_dict(self) -> dict[str, Any]:
        """The account as it stands in records and manifests."""
        return {"documents": self.documents.to_dict(), "bytes": self.bytes.to_dict()}


@dataclass
class Counts:
    """The account of one shard, or of a whole stage.

    `judged` counts, for every rule and source, the documents that the rule looked at: a rule that judged and
    never dropped is worth a warning. `violated` counts those that it would drop whatever other rules say; a drop
    is counted for the first rule alone. `measures` are other sums (tokens, candidate pairs).
    """

    by_source: dict[str, SourceCounts] = field(default_factory=dict)
    judged: dict[str, Counter[str]] = field(default_factory=dict)
    violated: dict[str, Counter[str]] = field(default_factory=dict)
    measures: Counter[str] = field(default_factory=Counter)

    def _source(self, source: str) -> SourceCounts:
        account = self.by_source.get(source)
        if account is None:  # setdefault would make four counters for every document
            account = self.by_source[source] = SourceCounts()
        return account

    def keep(self, source: str, bytes_in: int, bytes_kept: int | None = None, documents: int = 1) -> None:
        """One document came in with `bytes_in` bytes and stays with `bytes_kept` (the same where not given)."""
        account = self._source(source)
        bytes_kept = bytes_in if bytes_kept is None else bytes_kept
        account.documents.came_in += documents
        account.documents.kept += documents
        account.bytes.came_in += bytes_in
        account.bytes.kept += bytes_kept
        account.bytes.edited += bytes_in - bytes_kept

    def drop(self, source: str, rule: str, bytes_in: int) -> None:
        """One document came in and is dropped; `rule` names the condition that it violated."""
        account = self._source(source)
        for flow, amount in ((account.documents, 1), (account.bytes, bytes_in)):
            flow.came_in += amount
            flow.dropped[rule] += amount

    def quarantine(self, source: str, error: str, bytes_in: int) -> None:
        """One record came in and could not be read or processed; `error` names why."""
        account = self._source(source)
        for flow, amount in ((account.documents, 1), (account.bytes, bytes_in)):
            flow.came_in += amount
            flow.quarantined[error] += amount

    def merge(self, source: str, bytes_in: int) -> None:
        """One record came in and became part of another document."""
        account = self._source(source)
        for flow, amount in ((account.documents, 1), (account.bytes, bytes_in)):
            flow.came_in += amount
            flow.merged += amount

    def judge(self, rule: str, source: str) -> None:
        """A rule looked at a document of a source."""
        judged = self.judged.get(rule)
        if judged is None:
            judged = self.judged[rule] = Counter()
        judged[source] += 1

    def violate(self, rule: str, source: str) -> None:
        """A document of a source violates a rule, whether or not another one dropped it before."""
        self.violated.setdefault(rule, Counter())[source] += 1

    def add(self, other: Counts) -> None:
        """Add another account to this one."""
        for source, account in other.by_source.items():
            total = self._source(source)
            total.documents.add(account.documents)
            total.bytes.add(account.bytes)
        for mine, others in ((self.judged, other.judged), (self.violated, other.violated)):
            for rule, sources in others.items():
                mine.setdefault(rule, Counter()).update(sources)
        self.measures.update(other.measures)

    @property
    def total(self) -> SourceCounts:
        """The sum over the sources."""
        total = SourceCounts()
        for account in self.by_source.values():
            total.documents.add(account.documents)
            total.bytes.add(account.bytes)
        return total

    def check(self) -> None:
        """Prove that nothing is lost.

        Raises: LlmforgeError (a bug) naming the source and the amounts where an account does not add up.
        """
        for source, account in self.by_source.items():
            for unit, flow in (("documents", account.documents), ("bytes", account.bytes)):
                if flow.missing:
                    raise LlmforgeError(
                        f"the account of source {source!r} misses {flow.missing} {unit}: {flow.to_dict()}"
                    )

    def to_dict(self) -> dict[str, Any]:
        """The account as it stands in records and manifests."""
        return {
            **self.total.to_dict(),
            "by_source": {name: account.to_dict() for name, account in sorted(self.by_source.items())},
            "judged": _sorted(self.judged),
            "violated": _sorted(self.violated),
            "measures": dict(sorted(self.measures.items())),
        }

    @classmethod
    def from_dict(cls, value: dict[str, Any]) -> Counts:
        """Read what `to_dict` wrote."""
        counts = cls(measures=Counter(value["measures"]))
        for source, account in value["by_source"].items():
            counts.by_source[source] = SourceCounts(
                Flow.from_dict(account["documents"]), Flow.from_dict(account["bytes"])
            )
        counts.judged = {rule: Counter(sources) for rule, sources in value["judged"].items()}
        counts.violated = {rule: Counter(sources) for rule, sources in value["violated"].items()}
        return counts


def _sorted(by_rule: dict[str, Counter[str]]) -> dict[str, dict[str, int]]:
    return {rule: dict(sorted(sources.items())) for rule, sources in sorted(by_rule.items())}
