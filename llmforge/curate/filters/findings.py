"""What a rule finds in a document: conditions, each a measured value and its limit, and edits.

A rule is a generator, `examine(stats, limits)`, that yields findings in the order in which its source publishes them.
It measures nothing before it is asked for: who only wants to know whether a document stays takes findings up to the
first that is violated, who wants to explain or to store the values takes them all.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from operator import eq, ge, gt, le, lt
from typing import Any, Literal, NamedTuple

Relation = Literal[">=", "<=", ">", "<", "==", "in"]

_HOLDS: dict[str, Callable[[Any, Any], bool]] = {
    ">=": ge,
    "<=": le,
    ">": gt,
    "<": lt,
    "==": eq,
    "in": lambda value, limit: value in limit.split(),
}


class Condition(NamedTuple):
    """One measured value against its limit.

    Attributes:
        name: what is wrong with a document that violates it (`too_few_words`).
        value: what was measured; it does not depend on the limit.
        limit: what is allowed; several words, separated by spaces, for the relation `in`.
        relation: what holds between value and limit in a document that stays.
        setting: the field of the rule's settings that holds the limit; None if no setting does.
        offender: finds the line or the words that count most against the document, for a reader.
    """

    name: str
    value: float | str
    limit: float | str
    relation: Relation
    setting: str | None = None
    offender: Callable[[], str] | None = None

    @property
    def violated(self) -> bool:
        """Whether the document has to go."""
        return not _HOLDS[self.relation](self.value, self.limit)


class Removal(NamedTuple):
    """A line or a run of characters that a rule took out or replaced, and why."""

    reason: str
    text: str


@dataclass(frozen=True, slots=True)
class Edited:
    """A rule keeps a document, with this text in place of its own; `removed` is what it took out, in order."""

    text: str
    removed: tuple[Removal, ...] = ()

    @property
    def counts(self) -> Counter[str]:
        """Removals by reason."""
        return Counter(removal.reason for removal in self.removed)


Finding = Condition | Edited
Examine = Callable[[Any, Any], Iterator[Finding]]
"""A rule: a text (`TextStats`) and the rule's section of the settings to what it finds."""
