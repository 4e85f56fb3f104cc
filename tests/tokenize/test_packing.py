"""Packing: no token is lost, short documents stay whole, and rows are as full as best fit makes them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmforge.tokenize.packing import PADDING, compare_packings, pack_best_fit

LENGTHS = st.lists(st.integers(1, 60), min_size=1, max_size=60)


def best_fit_one_by_one(lengths: list[int], room: int) -> list[int]:
    """Rows' free space by the textbook: each piece, longest first, into the fullest row that has room."""
    spaces: list[int] = []
    for length in sorted(lengths, reverse=True):
        fits = [space for space in spaces if space >= length]
        if fits:
            spaces.remove(min(fits))
            spaces.append(min(fits) - length)
        else:
            spaces.append(room - length)
    return sorted(spaces)


@given(lengths=LENGTHS, context=st.integers(1, 40))
def test_every_token_is_in_a_row_and_short_documents_stay_whole(lengths: list[int], context: int) -> None:
    ends = np.cumsum(lengths)
    plan = pack_best_fit(ends, context)
    pieces = [piece for row in range(plan.num_rows) for piece in plan.pieces(row)]
    covered = np.concatenate([np.arange(start, start + length) for start, length in pieces])
    assert set(covered) == set(range(int(ends[-1])))
    assert all(sum(length for _, length in plan.pieces(row)) <= context + 1 for row in range(plan.num_rows))
    for end, length in zip(ends.tolist(), lengths, strict=True):
        assert (length > context + 1) or (end - length, length) in pieces
    # Every token but the first of its document is a target exactly once.
    targets = np.concatenate([np.arange(start + 1, start + length) for start, length in pieces])
    firsts = {end - length for end, length in zip(ends.tolist(), lengths, strict=True)}
    assert sorted(targets) == sorted(set(range(int(ends[-1]))) - firsts)


@given(lengths=st.lists(st.integers(1, 30), min_size=1, max_size=60), context=st.integers(29, 60))
def test_rows_are_those_of_best_fit_one_by_one(lengths: list[int], context: int) -> None:
    plan = pack_best_fit(np.cumsum(lengths), context)
    free = [context + 1 - sum(length for _, length in plan.pieces(row)) for row in range(plan.num_rows)]
    assert sorted(free) == best_fit_one_by_one(lengths, context + 1)


def test_a_row_knows_its_documents() -> None:
    plan = pack_best_fit(np.cumsum([3, 5, 2]), 6)
    assert [plan.pieces(row) for row in range(plan.num_rows)] == [[(3, 5), (8, 2)], [(0, 3)]]
    assert plan.layout(0).tolist() == [0, 0, 0, 0, 0, 1, 1]
    assert plan.layout(1).tolist() == [0, 0, 0, *[PADDING] * 4]


def test_both_ways_are_reported() -> None:
    found = compare_packings([np.cumsum([4, 4, 4, 20])], 8)
    # Windows of nine tokens at 0, 8, 16 and 24: the first three documents lie in one window each.
    assert found["concatenate"].broken_documents == 0.25
    assert found["best_fit"].broken_documents == 0.25
    assert (found["concatenate"].num_rows, found["concatenate"].padding) == (3, 0)
    # 20 tokens are windows of 9, 9 and 4; with the 4s: rows 9, 9, 4 + 4 and 4 + 4.
    assert found["best_fit"].num_rows == 4
    assert found["best_fit"].padding == pytest.approx(2 / 36)


def test_reports_add_up_over_sources() -> None:
    one, other = np.cumsum([4, 4, 4, 20]), np.cumsum([30, 3])
    both = compare_packings([one, other], 8)
    for packing in ("concatenate", "best_fit"):
        alone = [compare_packings([ends], 8)[packing] for ends in (one, other)]
        assert both[packing].num_rows == sum(report.num_rows for report in alone)
        broken = [4 * alone[0].broken_documents, 2 * alone[1].broken_documents]
        assert both[packing].broken_documents == pytest.approx(sum(broken) / 6)


def test_many_documents_break_when_they_are_concatenated_and_few_with_best_fit() -> None:
    lengths = np.random.default_rng(0).lognormal(5, 1, 20_000).astype(np.int64) + 1
    found = compare_packings([np.cumsum(lengths)], 1024)
    assert found["concatenate"].broken_documents > 3 * found["best_fit"].broken_documents
    assert found["best_fit"].padding < 0.01
