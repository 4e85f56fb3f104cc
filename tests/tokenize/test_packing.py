"""Packing: no token is lost, short documents stay whole, and rows are as full as best fit makes them."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmforge.pipeline.build import Built
from llmforge.tokenize.packing import PADDING, PackedRows, compare_packings, pack_best_fit
from llmforge.tokenize.token_store import TokenStore

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


def test_a_row_knows_its_documents_and_positions() -> None:
    plan = pack_best_fit(np.cumsum([3, 5, 2]), 6)
    assert [plan.pieces(row) for row in range(plan.num_rows)] == [[(3, 5), (8, 2)], [(0, 3)]]
    documents, positions = plan.layout(0)
    assert documents.tolist() == [0, 0, 0, 0, 0, 1, 1]
    assert positions.tolist() == [0, 1, 2, 3, 4, 0, 1]
    assert plan.layout(1)[0].tolist() == [0, 0, 0, *[PADDING] * 4]


def test_both_ways_are_reported() -> None:
    found = compare_packings(np.cumsum([4, 4, 4, 20]), 8)
    # Windows of nine tokens at 0, 8, 16 and 24: the first three documents lie in one window each.
    assert found["concatenated"].broken_documents == 0.25
    assert found["best_fit"].broken_documents == 0.25
    assert (found["concatenated"].num_rows, found["concatenated"].padding) == (3, 0)
    # 20 tokens are windows of 9, 9 and 4; with the 4s: rows 9, 9, 4 + 4 and 4 + 4.
    assert found["best_fit"].num_rows == 4
    assert found["best_fit"].padding == pytest.approx(2 / 36)


def test_many_documents_break_when_they_are_concatenated_and_few_with_best_fit() -> None:
    lengths = np.random.default_rng(0).lognormal(5, 1, 20_000).astype(np.int64) + 1
    found = compare_packings(np.cumsum(lengths), 1024)
    assert found["concatenated"].broken_documents > 3 * found["best_fit"].broken_documents
    assert found["best_fit"].padding < 0.01


@given(st.lists(st.integers(1, 40), min_size=1, max_size=30), st.integers(2, 16))
def test_every_token_but_a_first_is_a_target_once(sizes: list[int], context: int) -> None:
    ends = np.cumsum(sizes)
    stream = np.arange(1, ends[-1] + 1)  # each token tells its place
    rows = PackedRows(lambda start, length: stream[start : start + length], ends, context, eos_id=0)
    seen: list[int] = []
    for number in range(rows.num_rows):
        row = rows.row(number)
        assert {len(values) for values in (row.tokens, row.targets, row.is_target, row.documents)} == {context}
        assert (row.targets[row.is_target] == row.tokens[row.is_target] + 1).all()
        for document in set(row.documents.tolist()) - {PADDING}:
            inside = row.documents == document
            assert row.positions[inside].tolist() == list(range(inside.sum()))
        assert (row.tokens[row.documents == PADDING] == 0).all()
        seen += row.targets[row.is_target].tolist()
    firsts = {1, *(ends[:-1] + 1).tolist()}
    assert sorted(seen) == sorted(set(stream.tolist()) - firsts)


def test_rows_of_a_store_hold_whole_documents(corpus: Path, tokenize: Callable[..., Built]) -> None:
    store = TokenStore.open(tokenize(corpus).folder, "train")
    ends = store.ends(0)
    context = int(np.diff(ends, prepend=0).max())
    rows = PackedRows(lambda start, length: store.read(0, start, length), ends, context, store.eos_id)
    documents = 0
    for number in range(rows.num_rows):
        row = rows.row(number)
        documents += len(set(row.documents.tolist()) - {PADDING})
        for place in np.flatnonzero(np.diff(row.documents) == 1):
            assert row.tokens[place] == store.eos_id
            assert not row.is_target[place]
    assert documents == len(ends)
