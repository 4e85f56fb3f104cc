"""Exact substrings, held against a plain search, on made and on real texts."""

import gzip
import json
import random
from collections import defaultdict
from collections.abc import Callable
from itertools import groupby
from pathlib import Path

import numpy as np
import pytest
from deduplicating import Result, document, make_text
from hypothesis import given
from hypothesis import strategies as st

from llmforge.config.dedup import PassageSection
from llmforge.core.documents import Document
from llmforge.core.shards import read_objects
from llmforge.dedup.passages import cut_repeats, find_repeats, passage_rows

RunDedup = Callable[..., Result]


def cut_all(texts: list[str], size: int, occurrences: int = 2) -> tuple[list[str], list[tuple[str, int]]]:
    """The texts that are left, and pieces with the text that keeps each; earlier texts are the ones to keep."""
    settings = PassageSection(unit="substring", min_tokens=size, min_occurrences=occurrences)
    parts = [passage_rows(Document(str(number), text, "made"), settings) for number, text in enumerate(texts)]
    for number, rows in enumerate(parts):
        rows["location"] = rows["order"] = number
    cuts, kept = find_repeats(np.concatenate(parts), occurrences)
    left, pieces = [], []
    for number, text in enumerate(texts):
        own = [rows[rows["location"] == number] for rows in (cuts, kept)]
        rest, cut = cut_repeats(text, settings, *own)
        left.append(rest)
        pieces += [(piece.text, piece.keeper) for piece in cut]
    return left, pieces


def left_by_plain_search(texts: list[list[str]], size: int, occurrences: int) -> list[list[str]]:
    places: dict[tuple[str, ...], list[tuple[int, int]]] = defaultdict(list)
    for number, tokens in enumerate(texts):
        for place in range(len(tokens) - size + 1):
            places[tuple(tokens[place : place + size])].append((number, place))
    cut: set[tuple[int, int]] = set()
    kept: set[tuple[int, int]] = set()
    for (number, first), *others in (found for found in places.values() if len(found) >= occurrences):
        kept |= {(number, first + step) for step in range(size)}
        cut |= {(other, place + step) for other, place in others for step in range(size)}
    gone = {
        (number, place)
        for number, tokens in enumerate(texts)
        for is_cut, run in groupby(range(len(tokens)), lambda place: (number, place) in cut - kept)  # noqa: B023
        if is_cut and len(places := [*run]) >= size
        for place in places
    }
    return [
        [token for place, token in enumerate(tokens) if (number, place) not in gone]
        for number, tokens in enumerate(texts)
    ]


@given(
    texts=st.lists(st.lists(st.sampled_from("abc"), max_size=25), min_size=1, max_size=4),
    size=st.integers(2, 5),
    occurrences=st.integers(2, 3),
)
def test_what_is_left_is_that_of_a_plain_search(texts: list[list[str]], size: int, occurrences: int) -> None:
    left, pieces = cut_all([" ".join(tokens) for tokens in texts], size, occurrences)
    assert [text.split() for text in left] == left_by_plain_search(texts, size, occurrences)
    for piece, keeper in pieces:
        assert f" {' '.join(piece.split())} " in f" {' '.join(left[keeper].split())} "
    assert sum(map(len, texts)) == sum(len(text.split()) for text in [*left, *(piece for piece, _ in pieces)])


def test_a_run_inside_lines_is_cut_at_its_tokens_whatever_the_white_space() -> None:
    run = make_text(random.Random(0), 20)
    one, two = f"before it {run} after it", f"Other, {run.replace(' ', chr(10))}\n\nends."
    left, pieces = cut_all([one, two], 10)
    assert left == [one, "Other, ends."]
    assert pieces == [(run.replace(" ", "\n") + "\n\n", 0)]
    assert cut_all([one, two.upper()], 10)[0] == [one, two.upper()]
    assert cut_all([one, two], 21)[0] == [one, two]


def test_what_repeats_itself_is_left_once() -> None:
    assert cut_all(["ha " * 100 + "end"], 5) == (["ha ha ha ha ha end"], [("ha " * 5, 0)] * 19)


def test_characters_are_tokens_where_no_spaces_stand() -> None:
    assert cut_all(["我喜欢读书和写字", "他说我喜欢读书了"], 5)[0] == ["我喜欢读书和写字", "他说了"]


@pytest.mark.parametrize(("scope", "left"), [("corpus", 1), ("site", 2), ("document", 3)])
def test_the_stage_cuts_counts_and_names_substrings(run_dedup: RunDedup, scope: str, left: int) -> None:
    draw = random.Random(1)
    run = make_text(draw, 60)
    rows = [document(number, f"{make_text(draw, 30)} {run} {make_text(draw, 90)}") for number in range(3)]
    for row, host in zip(rows, ("a.org", "a.org", "b.org"), strict=True):
        row["url"] = f"http://{host}/{row['id']}"
    result = run_dedup([rows[:1], rows[1:]], passages={"unit": "substring", "scope": scope})
    assert sum(run in row["text"] for row in result.kept) == left
    cut = [row for path in (result.folder / "cut").glob("*") for row in read_objects(path)]
    assert [row["passages"][0]["text"] for row in cut] == [run + " "] * (3 - left)
    kept = {row["id"]: row["text"] for row in result.kept}
    assert all(run in kept[row["passages"][0]["kept_id"]] for row in cut)
    counts = result.manifest.counts
    assert counts["measures"].get("repeated_substrings", 0) == 3 - left
    assert counts["bytes"]["edited"] == (3 - left) * len(run + " ")
    assert counts["judged"]["repeated_substrings"] == {"made": 3}


def test_blocks_runs_and_ranges_of_keys_change_nothing(run_dedup: RunDedup, monkeypatch: pytest.MonkeyPatch) -> None:
    draw = random.Random(2)
    runs = [make_text(draw, 12) for _ in range(8)]
    texts = [" ".join([make_text(draw, 9), *draw.sample(runs, 3), make_text(draw, 9)]) for _ in range(30)]
    rows = [document(number, text) for number, text in enumerate(texts)]
    settings = {"unit": "substring", "min_tokens": 10}
    whole = {row["id"]: row["text"] for row in run_dedup([rows], passages=settings).kept}
    assert whole != {row["id"]: row["text"] for row in rows}
    monkeypatch.setattr("llmforge.dedup.repeats._BLOCK_ROWS", 2)
    monkeypatch.setattr("llmforge.dedup.steps.passage.RUN_PASSAGES", 50)
    monkeypatch.setattr("llmforge.dedup.steps.repeat.PARTITION_BYTES", 5000)
    again = run_dedup([rows[1::2][::-1], rows[::2]], passages=settings)
    assert {row["id"]: row["text"] for row in again.kept} == whole


def test_real_pages_lose_what_another_holds_and_nothing_else(run_dedup: RunDedup, real_data: Path) -> None:
    with gzip.open(real_data / "dedup" / "powershell_versions.jsonl.gz", "rt", encoding="utf-8") as file:
        rows = [json.loads(line) for line in file][:90]
    rows = [{"id": row["id"], "text": row["text"], "source": "set", "url": "", "meta": {}} for row in rows]
    result = run_dedup([rows], passages={"unit": "substring", "min_tokens": 50})
    left = {row["id"]: f" {' '.join(row['text'].split())} " for row in result.kept}
    cut = [row for path in (result.folder / "cut").glob("*") for row in read_objects(path)]
    assert len(cut) >= 5
    for row in cut:
        for piece in row["passages"]:
            assert f" {' '.join(piece['text'].split())} " in left[piece["kept_id"]]
