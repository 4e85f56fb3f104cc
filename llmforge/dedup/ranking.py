"""Who stays: the order in which documents are kept in preference to their copies."""

from datetime import date
from typing import Any

from llmforge.config.dedup import Criterion, DedupSection
from llmforge.core.documents import Document

# 64 bits in all, so that an order key is one integer; more of a thing is a smaller number.
_BITS: dict[Criterion, int] = {"source": 8, "quality": 16, "length": 24, "date": 16}


def order_key(document: Document, settings: DedupSection) -> int:
    """Where a document stands in the order: the smaller of two copies' keys stays (64 bits).

    The criteria of `settings.keep` follow each other from the highest bits: place in `source_priority` (sources
    that are not named come last), `meta["quality"]` in 65,536 steps from 0 to 1, characters up to 2**24, day of
    `meta["date"]` from 1970. A document that lacks a value comes after those that have one.
    """
    key = 0
    for criterion in settings.keep:
        limit = (1 << _BITS[criterion]) - 1
        key = key << _BITS[criterion] | _place(criterion, document, settings, limit)
    return key


def lacks(document: Document, criterion: Criterion) -> bool:
    """Whether a document has no value for a criterion."""
    if criterion == "quality":
        return _quality(document.meta.get("quality")) is None
    return criterion == "date" and _day(document.meta.get("date")) is None


def _place(criterion: Criterion, document: Document, settings: DedupSection, limit: int) -> int:
    if criterion == "source":
        named = settings.source_priority
        return named.index(document.source) if document.source in named else limit
    if criterion == "length":
        return limit - min(len(document.text), limit)
    if criterion == "quality":
        quality = _quality(document.meta.get("quality"))
        return limit if quality is None else limit - 1 - round(quality * (limit - 1))
    day = _day(document.meta.get("date"))
    return limit if day is None else limit - 1 - day


def _quality(value: Any) -> float | None:
    """A score from 0 to 1, cut where it is beyond."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return min(max(float(value), 0.0), 1.0) if is_number else None


def _day(value: Any) -> int | None:
    """Days since 1970 of an ISO date (its first ten characters), cut at 0 and at the year 2149."""
    try:
        return min(max((date.fromisoformat(value[:10]) - date(1970, 1, 1)).days, 0), (1 << 16) - 2)
    except (TypeError, ValueError):
        return None
