"""Copies, buckets, components and verdicts: the parts between signing and writing."""

import random
import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmforge.dedup.clusters import Components, unique_locations
from llmforge.dedup.exact import normalise, pair_copies, text_key
from llmforge.dedup.lsh import NUM_BEFORE, NUM_BEST, candidate_pairs
from llmforge.dedup.tables import NODE, PAIR, RECORD, Rows, locate, shard_range, shards_and_rows
from llmforge.dedup.verify import Links, Verdicts, choose_keepers, jaccard


def records(rows: list[tuple[int, ...]]) -> Rows:
    return np.array(rows, dtype=RECORD)


def as_tuples(pairs: Rows) -> list[tuple[int, int]]:
    return [(int(pair["first"]), int(pair["second"])) for pair in pairs]


@pytest.mark.parametrize(
    ("one", "two", "equal"),
    [
        ("a b\nc", "  a  b\tc ", True),
        ("caf\u00e9", "cafe\u0301", True),
        ("a b", "A b", False),
        ("x = 1 + 2", "x = 1 - 2", False),
        ("a.", "a", False),
        ("", " \n", True),
    ],
)
def test_copies_are_equal_but_for_white_space(one: str, two: str, equal: bool) -> None:
    assert (text_key(normalise(one)) == text_key(normalise(two))) is equal


def test_the_copy_that_stays_is_the_first_in_order_then_name() -> None:
    rows = records([(5, 1, 2, 9, 100), (5, 1, 2, 3, 200), (5, 1, 7, 1, 300), (5, 2, 0, 0, 400), (6, 1, 0, 0, 500)])
    pairs, members = pair_copies(rows)
    assert sorted(as_tuples(pairs)) == [(200, 100), (200, 300)]
    assert sorted(members["location"].tolist()) == [100, 200, 300]


def test_a_small_bucket_pairs_all_with_all_and_copies_count_once() -> None:
    rows = records([(7, text, text, 0, text) for text in range(5)] + [(7, 0, 3, 0, 77), (8, 9, 0, 0, 9)])
    pairs, members, left_out = candidate_pairs(rows)
    assert as_tuples(pairs) == [(one, two) for two in range(5) for one in range(two)]
    assert sorted(set(members["location"].tolist())) == [0, 1, 2, 3, 4]
    assert left_out == 0


def test_a_large_bucket_pairs_with_the_best_and_the_ones_before() -> None:
    size = 100
    pairs, _, left_out = candidate_pairs(records([(7, text, text, 0, text) for text in range(size)]))
    found = set(as_tuples(pairs))
    for two in range(size):
        partners = {one for one, other in found if other == two}
        assert partners == {*range(min(two, NUM_BEST)), *range(max(0, two - NUM_BEFORE), two)}
    assert left_out == size * (size - 1) // 2 - len(found)


def test_a_bucket_of_a_hundred_thousand_stays_linear() -> None:
    rows = np.zeros(100_000, dtype=RECORD)
    rows["text"] = rows["order"] = rows["location"] = np.arange(len(rows))
    start_s = time.process_time()
    pairs, _, _ = candidate_pairs(rows)
    assert len(pairs) <= (NUM_BEST + NUM_BEFORE) * len(rows)
    assert time.process_time() - start_s < 30


@given(rows=st.lists(st.tuples(*[st.integers(0, 3)] * 4), max_size=30), seed=st.integers(0, 9))
def test_pairs_do_not_depend_on_the_order_of_the_records(rows: list[tuple[int, ...]], seed: int) -> None:
    given_rows = [(*row, place) for place, row in enumerate(rows)]
    shuffled = random.Random(seed).sample(given_rows, len(given_rows))
    for find in (pair_copies, candidate_pairs):
        one, two = find(records(given_rows)), find(records(shuffled))
        assert sorted(as_tuples(one[0])) == sorted(as_tuples(two[0]))


@given(links=st.lists(st.tuples(st.integers(0, 30), st.integers(0, 30)), max_size=40), pieces=st.integers(1, 5))
def test_components_are_those_of_the_graph(links: list[tuple[int, int]], pieces: int) -> None:
    links = [link for link in links if link[0] != link[1]]
    groups = {node: {node} for link in links for node in link}
    for one, two in links:
        if groups[one] is not groups[two]:
            groups[one] |= groups[two]
            for node in groups[two]:
                groups[node] = groups[one]
    nodes = np.array(sorted(groups), dtype=np.uint64)
    components = Components(nodes)
    for piece in range(pieces):
        components.link(np.array(links[piece::pieces], dtype=PAIR))
    found = dict(zip(nodes.tolist(), components.of(nodes).tolist(), strict=True))
    assert found == {node: min(group) for node, group in groups.items()}


def test_a_long_chain_is_one_component() -> None:
    nodes = np.arange(50_000, dtype=np.uint64)
    components = Components(nodes)
    components.link(np.array(list(zip(range(49_999), range(1, 50_000), strict=True)), dtype=PAIR))
    assert set(components.of(nodes).tolist()) == {0}


def test_locations_are_gathered_once() -> None:
    pieces = [np.array(values, dtype=np.uint64) for values in ([3, 1], [1, 2], [])]
    assert unique_locations(pieces).tolist() == [1, 2, 3]


def test_a_location_says_shard_and_row() -> None:
    locations = locate(12, [0, 7])
    shards, rows = shards_and_rows(locations)
    assert (shards.tolist(), rows.tolist()) == ([12, 12], [0, 7])
    low, high = shard_range(12)
    assert all(low <= location < high for location in locations.tolist())


@given(one=st.sets(st.integers(0, 40)), two=st.sets(st.integers(0, 40)))
def test_jaccard_is_exact(one: set[int], two: set[int]) -> None:
    arrays = [np.array(sorted(values), dtype=np.uint64) for values in (one, two)]
    expected = len(one & two) / len(one | two) if one and two else 0.0
    assert jaccard(arrays[0], arrays[1]) == expected


def choose(sets: list[set[int]], pairs: list[tuple[int, int]], threshold: float) -> tuple[Verdicts, dict[int, int]]:
    """Documents in the order in which they stay; by document, for which one it goes."""
    nodes = np.zeros(len(sets), dtype=NODE)
    nodes["location"] = nodes["order"] = np.arange(len(sets))
    arrays = [np.array(sorted(values), dtype=np.uint64) for values in sets]
    none = np.empty(0, dtype=PAIR)
    links = Links(np.array(pairs, dtype=PAIR), none, none)
    verdicts = choose_keepers(nodes, links, lambda location: arrays[location], threshold)
    gone = {place: keeper for place, keeper in enumerate(verdicts.keepers.tolist()) if keeper != place}
    return verdicts, gone


def test_a_chain_never_removes_for_a_document_that_is_gone() -> None:
    a, b, c = set(range(100)), set(range(15, 115)), set(range(30, 130))
    verdicts, gone = choose([a, b, c], [(0, 1), (1, 2)], 0.7)
    assert gone == {1: 0}
    assert (verdicts.num_compared, verdicts.num_unlike) == (2, 1)


def test_a_keeper_stands_for_the_candidate_that_went_for_it() -> None:
    a, b, c = set(range(100)), set(range(5, 105)), set(range(10, 110))
    _, gone = choose([a, b, c], [(0, 1), (1, 2)], 0.7)
    assert gone == {1: 0, 2: 0}


def test_the_threshold_itself_is_similar_enough() -> None:
    a, b = set(range(17)), set(range(3, 20))
    assert choose([a, b], [(0, 1)], 0.7)[1] == {1: 0}
    assert choose([a, b], [(0, 1)], 0.701)[1] == {}


@given(
    sets=st.lists(st.sets(st.integers(0, 12), min_size=1), min_size=1, max_size=12),
    threshold=st.sampled_from([0.3, 0.5, 0.7, 1.0]),
)
def test_keepers_stay_and_are_similar_enough(sets: list[set[int]], threshold: float) -> None:
    pairs = [(one, two) for two in range(len(sets)) for one in range(two)]
    _, gone = choose(sets, pairs, threshold)
    for document, keeper in gone.items():
        assert keeper not in gone
        assert keeper < document
        assert len(sets[document] & sets[keeper]) / len(sets[document] | sets[keeper]) >= threshold
    kept = [place for place in range(len(sets)) if place not in gone]
    for place, two in enumerate(kept):
        for one in kept[:place]:
            assert len(sets[one] & sets[two]) / len(sets[one] | sets[two]) < threshold
