import random
from collections.abc import Callable

import pytest
from deduplicating import Result, Row, document, make_text
from hypothesis import given
from hypothesis import strategies as st

from llmforge.core.shards import read_objects
from llmforge.dedup.passages import cut_passages, split_passages

RunDedup = Callable[..., Result]
NOTICE = "All rights reserved; this notice stands at the foot of every page of the site."


def pages(draw: random.Random) -> list[Row]:
    rows = [document(number, f"{make_text(draw, 40)}\n{NOTICE}\n{make_text(draw, 60 - number)}") for number in range(6)]
    for row, host in zip(rows, ("a.org", "www.a.org", "b.org", "b.org", "", ""), strict=True):
        row["url"] = f"http://{host}/{row['id']}" if host else ""
    return rows


def with_notice(result: Result) -> list[int]:
    return sorted(int(row["id"], 16) for row in result.kept if NOTICE in row["text"])


@pytest.mark.parametrize(
    ("settings", "left"),
    [
        ({}, [0]),
        ({"scope": "site"}, [0, 2, 4, 5]),
        ({"scope": "document"}, [0, 1, 2, 3, 4, 5]),
        ({"min_occurrences": 7}, [0, 1, 2, 3, 4, 5]),
        ({"min_occurrences": 6}, [0]),
        ({"min_characters": 200}, [0, 1, 2, 3, 4, 5]),
        ({"unit": "paragraph"}, [0, 1, 2, 3, 4, 5]),
    ],
)
def test_where_a_repeated_line_is_left(run_dedup: RunDedup, settings: dict[str, object], left: list[int]) -> None:
    rows = pages(random.Random(0))
    result = run_dedup([rows], passages=settings)
    assert with_notice(result) == left
    assert len(result.kept) == 6
    for row in result.kept:
        whole = rows[int(row["id"], 16)]["text"]
        assert row["text"] == (whole if NOTICE in row["text"] else whole.replace(NOTICE + "\n", ""))


def test_what_is_cut_is_named_and_counted(run_dedup: RunDedup) -> None:
    result = run_dedup([pages(random.Random(1))], passages={})
    cut = [row for path in (result.folder / "cut").iterdir() for row in read_objects(path)]
    assert {int(row["id"], 16) for row in cut} == {1, 2, 3, 4, 5}
    assert all(row["passages"] == [{"text": NOTICE + "\n", "kept_id": f"{0:032x}"}] for row in cut)
    counts = result.manifest.counts
    assert counts["bytes"]["edited"] == 5 * (len(NOTICE) + 1)
    assert counts["measures"]["repeated_lines"] == 5
    assert counts["judged"]["repeated_lines"] == {"made": 6}
    assert counts["documents"]["kept"] == 6


def test_order_shards_and_workers_change_nothing(run_dedup: RunDedup, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = pages(random.Random(2))
    texts = {row["id"]: row["text"] for row in run_dedup([rows], passages={}).kept}
    two = run_dedup([rows[3:], rows[:3][::-1]], passages={}, workers=2)
    assert {row["id"]: row["text"] for row in two.kept} == texts
    monkeypatch.setattr("llmforge.dedup.steps.passage.RUN_PASSAGES", 2)
    monkeypatch.setattr("llmforge.dedup.steps.repeat.PARTITION_BYTES", 100)
    assert {row["id"]: row["text"] for row in run_dedup([rows], passages={}).kept} == texts


def test_a_removed_document_keeps_no_passage_from_others(run_dedup: RunDedup) -> None:
    draw = random.Random(3)
    longest = f"{make_text(draw, 90)}\n{NOTICE}"
    rows = [document(1, longest), document(2, longest), document(3, f"{make_text(draw, 20)}\n{NOTICE}")]
    result = run_dedup([rows], passages={})
    assert with_notice(result) == [int(next(iter(result.kept_ids - {f"{3:032x}"})), 16)]


def test_a_document_is_never_emptied(run_dedup: RunDedup) -> None:
    rows = [document(1, NOTICE), document(2, f"{NOTICE}\n{make_text(random.Random(4), 30)}"), document(3, "a\nb\nc")]
    result = run_dedup([rows], passages={}, minhash=None)
    assert with_notice(result) == [1, 2]
    assert result.manifest.counts["measures"]["documents_of_repeats_only"] == 1


def test_repeats_within_a_document(run_dedup: RunDedup) -> None:
    row = document(1, f"{NOTICE}\n\nbetween\n\n{NOTICE}\n \n{NOTICE}")
    result = run_dedup([[row]], passages={"unit": "paragraph", "scope": "document"}, minhash=None)
    assert result.kept[0]["text"] == f"{NOTICE}\n\nbetween\n\n"


@given(text=st.text(alphabet="ab \n\t\r", max_size=40), unit=st.sampled_from(["line", "paragraph"]))
def test_passages_joined_are_the_text(text: str, unit: str) -> None:
    passages = split_passages(text, unit)
    assert "".join(passages) == text == cut_passages(text, unit, [])
    assert cut_passages(text, unit, range(len(passages))) == ""
