"""Evaluation items in training text: found however they are wrapped, with the evidence, and nothing else."""

import gzip
import json
import random
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from curating import PROSE, Result

from llmforge.config.filters.evaluation import DecontaminateSection
from llmforge.core.errors import InputError
from llmforge.curate.filters.decontaminate import EvaluationSets
from llmforge.curate.filters.evaluation_sets import find_sets, read_items

Curate = Callable[..., Result]
Write = Callable[[Path, list[dict[str, Any]]], Path]

LONG = "A farmer has seventeen sheep and all but nine of them run away in the night, how many are left in the morning"
SHORT = "Which of nine moons is the largest one"
ITEMS = [
    {"query": f"Question: {LONG}?\nAnswer:", "choices": ["nine", "eight"], "gold": 0},
    {"context": f"{SHORT},", "continuation": "Ganymede"},
    {"sentence_good": "Too short to be found.", "sentence_bad": "To short too be found."},
]


def sets_of(path: Path, **limits: Any) -> EvaluationSets:
    return EvaluationSets(DecontaminateSection(rule="decontaminate", against=(str(path),), **limits))


@pytest.fixture
def items(tmp_path: Path, write_jsonl: Write) -> Path:
    return write_jsonl(tmp_path / "eval" / "riddles.jsonl", ITEMS)


@pytest.mark.parametrize(
    "text",
    [
        f"{PROSE} {LONG}? {PROSE}",
        f"{PROSE}\n\n{textwrap.fill(LONG, 20)}\n\n{PROSE}",
        LONG.upper(),
        LONG.replace(" ", "  -  ").replace(",", ";"),
        " ".join(LONG.split()[3:16]),
    ],
)
def test_a_run_of_an_item_is_found_however_it_is_written(items: Path, text: str) -> None:
    found = sets_of(items).find(text)
    assert list(found) == ["riddles.jsonl#1"]
    assert found["riddles.jsonl#1"] in text


@pytest.mark.parametrize(
    "text",
    [
        PROSE,
        " ".join(LONG.split()[3:15]),
        LONG.replace("seventeen", "eighteen").replace("in the night", "at night"),
        " ".join(reversed(LONG.split())),
        SHORT,  # without the word that makes the item whole
        "Too short to be found.",
        "",
    ],
)
def test_less_than_a_run_is_not_found(items: Path, text: str) -> None:
    assert sets_of(items).find(text) == {}


def test_a_short_item_is_found_whole(items: Path) -> None:
    sets = sets_of(items)
    assert sets.find(f"{PROSE} {SHORT}? Ganymede! {PROSE}") == {"riddles.jsonl#2": f"{SHORT}? Ganymede"}
    assert (sets.num_items, sets.num_too_short) == (3, 1)
    assert sets_of(items, min_words=11).find(f"{SHORT} Ganymede") == {}
    assert sets_of(items, min_words=4).find("it is too short to be found") == {
        "riddles.jsonl#3": "too short to be found"
    }


def test_phrases_of_the_form_of_a_set_are_no_find(tmp_path: Path, write_jsonl: Write) -> None:
    form = "which one of the following statements best explains what was seen by the students in this"
    rows = [{"query": f"{form} {word} where they all came together by bus"} for word in "abcdefghijkl"]
    rows.append({"query": form})
    sets = sets_of(write_jsonl(tmp_path / "a.jsonl", rows))
    assert sets.find(f"{PROSE} {form} book {PROSE}") == {"a.jsonl#13": form}
    assert "a.jsonl#3" in sets.find(f"{form} c where they all came together by bus")
    assert "a.jsonl#4" not in sets.find(f"{form} c where they all came together by bus")


def test_scripts_without_spaces_are_searched_by_character(tmp_path: Path, write_jsonl: Write) -> None:
    text = "東京は日本の首都であり世界最大級の都市圏を形成している"
    sets = sets_of(write_jsonl(tmp_path / "a.jsonl", [{"question": text}]))
    assert sets.find(f"序文。{text}。後書き。") == {"a.jsonl#1": text}
    assert sets.find(text[:12]) == {}


def test_the_rule_drops_with_the_item_and_the_span_as_evidence(
    curate: Curate, items: Path, tmp_path: Path, write_jsonl: Write
) -> None:
    planted = f"{PROSE}\n{textwrap.fill(LONG, 30)}\n{PROSE}"
    data = write_jsonl(tmp_path / "data.jsonl", [{"text": PROSE}, {"text": planted}, {"text": "print(1)"}])
    rule = {"rule": "decontaminate", "against": (str(items.parent),)}
    result = curate(data, settings={"filters": (rule,)})
    assert result.texts == [PROSE, "print(1)"]
    (row,) = result.dropped
    assert (row["rule"], row["value"], row["limit"]) == ("decontaminate.evaluation_item", 1, 0)
    assert row["evidence"] == f"riddles.jsonl#1: {textwrap.fill(LONG, 30)}"
    assert result.manifest.results["evaluation_sets"] == [{"items": 3, "too_short": 1}]


def test_a_rule_that_found_nothing_and_other_sets_are_told(
    curate: Curate, items: Path, tmp_path: Path, write_jsonl: Write
) -> None:
    data = write_jsonl(tmp_path / "data.jsonl", [{"text": PROSE}])
    rule = {"rule": "decontaminate", "against": (str(items),)}
    result = curate(data, settings={"filters": (rule,)})
    assert result.manifest.warnings == ["decontaminate judged 1 documents and dropped or changed none"]
    assert list(result.manifest.identity["inputs"]["settings of evaluation sets"]) == ["riddles.jsonl"]


def test_a_set_that_cannot_be_read_stops_the_stage(curate: Curate, tmp_path: Path, write_jsonl: Write) -> None:
    data = write_jsonl(tmp_path / "data.jsonl", [{"text": PROSE}])
    (tmp_path / "bad.jsonl").write_text('{"query": "a"}\n{"query": \n')
    for against, says in ((tmp_path / "none", "no such file"), (tmp_path / "bad.jsonl", "bad_json at 15")):
        with pytest.raises(InputError, match=says):
            curate(data, settings={"filters": ({"rule": "decontaminate", "against": (str(against),)},)})


def test_parquet_sets_are_read(tmp_path: Path) -> None:
    pa, pq = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    rows = [{"idx": 1, "question": LONG, "choices": {"text": ["nine", "ten"], "label": ["A", "B"]}}]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "a.parquet")
    assert list(sets_of(tmp_path).find(f"{LONG} nine")) == ["a.parquet#1"]


@pytest.mark.slow
def test_every_planted_item_is_found_and_no_clean_document(real_data: Path) -> None:
    """Verbatim and re-wrapped, each in the middle of a real text; all texts of the sample corpora as clean ones."""
    sets, draw = sets_of(real_data / "eval"), random.Random(3)
    texts = {path.name: list(read_texts(path)) for path in sorted((real_data / "text").glob("*.jsonl.gz"))}
    carriers = [text[:2000] for text in texts["gov_18f.jsonl.gz"]]
    searched = wrapped = 0
    for file in find_sets((str(real_data / "eval"),)):
        for name, passages in draw.sample(list(read_items(file)), 4 if "small" in file.locator else 250):
            passage = max(passages, key=len)
            if not sets.find(passage):
                assert len(passage.split()) < 20
                continue
            before, after = draw.sample(carriers, 2)
            searched += 1
            assert name in sets.find(f"{before}\n\n{passage}\n\n{after}")
            wrapped += name in sets.find(f"{before}\n{textwrap.fill(passage, 30)}\n{after}")
    assert searched > 1000
    assert wrapped >= 0.95 * searched
    found = {(name, item) for name, several in texts.items() for text in several for item in sets.find(text)}
    # One novel is the source of these items: they are no false finds.
    assert all(name == "novels.jsonl.gz" and item.startswith("lambada_openai") for name, item in found), found


def read_texts(path: Path) -> list[str]:
    with gzip.open(path) as lines:
        return [json.loads(line)["text"] for line in lines]
