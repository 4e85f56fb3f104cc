"""Rows of a stream: every token is a target once, but for the first ones that nothing precedes."""

import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from llmforge.pipeline.build import Built
from llmforge.tokenize.packing import PADDING
from llmforge.tokenize.rows import BestFitRows, ConcatenatedRows, open_streams
from llmforge.tokenize.token_store import TokenStore, shard_paths, write_index, write_shard

EOS = 0


def make_store(folder: Path, shards: list[list[int]]) -> TokenStore:
    """Documents of these sizes (tokens, the end token included); each token but the end tells its place."""
    written, place = [], 1
    for number, sizes in enumerate(shards):
        with write_shard(shard_paths(folder, "train", f"{number:05d}"), "uint16", EOS) as writer:
            for size in sizes:
                writer.add(f"{place}", "", size, np.arange(place, place + size - 1))
                place += size
            written.append(writer.summary(f"{number:05d}", "a"))
    write_index(folder, 5000, EOS, {"train": written})
    return TokenStore.open(folder, "train")


@settings(max_examples=40, deadline=None)
@given(
    shards=st.lists(st.lists(st.integers(1, 40), min_size=1, max_size=15), min_size=1, max_size=3),
    context=st.integers(2, 16),
)
def test_best_fit_learns_every_token_that_has_something_before_it(shards: list[list[int]], context: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        (stream,) = open_streams(make_store(Path(folder), shards))
        rows = BestFitRows(stream, context, EOS)
        ends = np.cumsum([size for sizes in shards for size in sizes])
        begins = {0, *ends[:-1].tolist()}
        assert stream.ends().tolist() == ends.tolist()
        learned: list[int] = []
        for number in range(rows.num_rows):
            row = rows.row(number)
            assert {len(values) for values in (row.tokens, row.targets, row.is_target, row.documents)} == {context}
            assert (row.tokens[row.documents == PADDING] == EOS).all()
            assert not row.is_target[row.documents == PADDING].any()
            places = np.concatenate([np.arange(start, start + size) for start, size in rows.pieces(number)])
            targets = places[1:][row.is_target[: len(places) - 1]]
            before = places[:-1][row.is_target[: len(places) - 1]]
            # A target goes on with its document, or begins one behind the end of another.
            for place, target in zip(before.tolist(), targets.tolist(), strict=True):
                assert target == place + 1 or (target in begins and place + 1 in ends)
            learned += targets.tolist()
        assert len(learned) == len(set(learned))
        assert set(range(int(ends[-1]))) - set(learned) <= begins


@settings(max_examples=40, deadline=None)
@given(
    shards=st.lists(st.lists(st.integers(1, 40), min_size=1, max_size=15), min_size=1, max_size=3),
    context=st.integers(2, 16),
)
def test_concatenated_rows_number_documents_by_their_ends(shards: list[list[int]], context: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        (stream,) = open_streams(make_store(Path(folder), shards))
        owners = np.repeat(np.arange(len(stream.ends())), np.diff(stream.ends(), prepend=0))
        rows = ConcatenatedRows(stream, context)
        for number in range(rows.num_rows):
            row, start = rows.row(number), number * context
            assert row.is_target.all()
            assert (row.documents == owners[start : start + context] - owners[start]).all()
            assert (row.targets[:-1] == row.tokens[1:]).all()


def test_rows_of_a_store_hold_whole_documents(corpus: Path, tokenize: Callable[..., Built]) -> None:
    store = TokenStore.open(tokenize(corpus).folder, "train")
    stream = open_streams(store)[0]
    sizes = np.diff(stream.ends(), prepend=0)
    rows = BestFitRows(stream, int(sizes.max()), store.eos_id)
    documents = 0
    for number in range(rows.num_rows):
        row = rows.row(number)
        documents += len(set(row.documents.tolist()) - {PADDING})
        for place in np.flatnonzero(np.diff(row.documents) == 1):
            assert row.tokens[place] == store.eos_id
            assert row.is_target[place]
        spans = [span for piece in rows.pieces(number) for span in stream.documents(*piece)]
        assert [span.num_tokens for span in spans] == [size for _, size in rows.pieces(number)]
    assert documents == len(sizes)
