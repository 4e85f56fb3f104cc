import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmforge.core.errors import LlmforgeError
from llmforge.pipeline.counts import Counts

SOURCES, NAMES = st.sampled_from(["a", "b"]), st.sampled_from(["r1", "r2"])
EVENTS = st.lists(st.tuples(st.sampled_from("kdqm"), SOURCES, NAMES, st.integers(0, 999), st.integers(0, 999)))


def count(events: list) -> Counts:
    counts = Counts()
    for kind, source, name, size, kept in events:
        if kind == "k":
            counts.keep(source, size, kept)
        elif kind == "d":
            counts.drop(source, name, size)
        elif kind == "q":
            counts.quarantine(source, name, size)
        else:
            counts.merge(source, size)
        counts.judge(name, source)
        counts.measures["tokens"] += kept
    return counts


@given(EVENTS)
def test_what_came_in_is_accounted_for(events: list) -> None:
    counts = count(events)
    counts.check()
    total = counts.total
    assert total.documents.came_in == len(events)
    assert total.bytes.came_in == sum(event[3] for event in events)
    assert total.documents.edited == 0


@given(EVENTS, st.integers(0, 10))
def test_the_sum_of_parts_is_the_whole_and_survives_its_record(events: list, cut: int) -> None:
    parts = Counts()
    for part in (events[:cut], events[cut:]):
        parts.add(Counts.from_dict(count(part).to_dict()))
    assert parts.to_dict() == count(events).to_dict()


def test_an_account_that_misses_something_is_refused() -> None:
    counts = count([("k", "a", "r1", 5, 5)])
    counts.by_source["a"].documents.came_in += 1
    with pytest.raises(LlmforgeError, match="the account of source 'a' misses 1 documents"):
        counts.check()
