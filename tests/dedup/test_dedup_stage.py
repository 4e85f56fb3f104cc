import hashlib
import json
import random
import shutil
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from deduplicating import Result, Row, document, edit_text, make_corpus, make_text, read_result
from pydantic import ValidationError
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import WhitespaceSplit

from llmforge.config.schema import Settings
from llmforge.core.errors import InputError, SettingsError
from llmforge.core.shards import read_objects
from llmforge.dedup.stage import DEDUP
from llmforge.pipeline.build import BuildOptions, build_stage, plan_stage

RunDedup = Callable[..., Result]


def shards_of(rows: list[Row], count: int, seed: int | None = None) -> list[list[Row]]:
    rows = list(rows) if seed is None else random.Random(seed).sample(rows, len(rows))
    return [rows[number::count] for number in range(count)]


def tree(folder: Path) -> dict[str, str]:
    files = [path for path in folder.rglob("*") if path.is_file() and path.name != "manifest.json"]
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def words(text: str) -> set[tuple[str, ...]]:
    split = "".join(char.lower() if char.isalnum() else " " for char in text).split()
    return {tuple(split[place : place + 5]) for place in range(len(split) - 4)}


@pytest.mark.parametrize("seed", range(3))
def test_what_the_stage_promises(run_dedup: RunDedup, seed: int) -> None:
    rows = make_corpus(seed)
    result = run_dedup(shards_of(rows, 3))
    by_id = {row["id"]: row for row in rows}
    removed = {row["id"]: row for row in result.removed}

    assert result.kept_ids | removed.keys() == by_id.keys()
    assert len(result.kept) + len(result.removed) == len(rows)
    sizes = Counter(row["kept_id"] for row in result.removed)
    assert sizes.keys() <= result.kept_ids
    for row in result.kept:
        assert row["meta"]["dedup"]["cluster_size"] == 1 + sizes[row["id"]]
        assert row["text"] == by_id[row["id"]]["text"]
    assert len(removed) > 20
    for row in removed.values():
        one, two = words(row["text"]), words(by_id[row["kept_id"]]["text"])
        similarity = len(one & two) / len(one | two)
        assert row["similarity"] == pytest.approx(similarity)
        assert similarity >= 0.7
        assert row["text"] == by_id[row["id"]]["text"]
        assert row["method"] in ("exact", "minhash")
        if row["method"] == "exact":
            assert "".join(row["text"].split()) == "".join(by_id[row["kept_id"]]["text"].split())


def test_members_of_a_component_carry_its_smallest_id(run_dedup: RunDedup) -> None:
    result = run_dedup(shards_of(make_corpus(1), 2))
    components: dict[str, set[str]] = {}
    for row in result.kept:
        components.setdefault(row["meta"]["dedup"]["component"], set()).add(row["id"])
    for row in result.removed:
        components.setdefault(row["component"], set()).add(row["id"])
        assert row["kept_id"] in {
            kept["id"] for kept in result.kept if kept["meta"]["dedup"]["component"] == row["component"]
        }
    assert all(component == min(members) for component, members in components.items())
    assert any(len(members) > 2 for members in components.values())


def test_the_output_shards_are_those_of_the_input(run_dedup: RunDedup) -> None:
    rows = make_corpus(2)
    result = run_dedup([rows[:50], [document(900, rows[0]["text"])], rows[50:]])
    assert sorted(path.name for path in (result.folder / "data").iterdir()) == [f"0000{n}.jsonl.zst" for n in range(3)]
    assert [row["id"] for row in read_objects(result.folder / "data" / "00000.jsonl.zst")] == [
        row["id"] for row in rows[:50] if row["id"] in result.kept_ids
    ]
    for row in result.removed:
        shard = result.folder / "data" / f"{row['kept_shard']:05d}.jsonl.zst"
        assert row["kept_id"] in {kept["id"] for kept in read_objects(shard)}
    assert not (result.folder / "work").exists()


@pytest.mark.parametrize("exact", [True, False])
def test_order_and_shards_of_the_input_change_nothing(run_dedup: RunDedup, exact: bool) -> None:
    rows = make_corpus(3)
    outcomes = [
        run_dedup(shards_of(rows, count, seed), exact=exact).outcome for count, seed in ((1, None), (4, 1), (7, 2))
    ]
    assert outcomes[0] == outcomes[1] == outcomes[2]


def test_large_buckets_do_not_depend_on_the_order_either(run_dedup: RunDedup) -> None:
    draw = random.Random(4)
    text = make_text(draw, 150)
    rows = [document(number, edit_text(text, draw.randrange(8), draw)) for number in range(120)]
    one, two = run_dedup(shards_of(rows, 1)), run_dedup(shards_of(rows, 5, 3))
    assert one.outcome == two.outcome
    assert one.manifest.results["pairs_left_out"] > 0


def test_two_workers_write_the_same_bytes(run_dedup: RunDedup) -> None:
    shards = shards_of(make_corpus(5), 3)
    assert tree(run_dedup(shards).folder) == tree(run_dedup(shards, workers=2).folder)


def test_small_partitions_and_runs_give_the_same_bytes(run_dedup: RunDedup, monkeypatch: pytest.MonkeyPatch) -> None:
    shards = shards_of(make_corpus(6), 3)
    whole = tree(run_dedup(shards).folder)
    monkeypatch.setattr("llmforge.dedup.steps.band.PARTITION_BYTES", 4000)
    monkeypatch.setattr("llmforge.dedup.steps.cluster.PARTITION_NODES", 10)
    monkeypatch.setattr("llmforge.dedup.steps.sign._RUN_DOCUMENTS", 7)
    monkeypatch.setattr("llmforge.dedup.source.BLOCK_CHARS", 2000)
    monkeypatch.setattr("llmforge.dedup.tables._STREAM_ROWS", 5)
    monkeypatch.setattr("llmforge.dedup.shingle_sets._OPEN_FILES", 1)
    monkeypatch.setattr("llmforge.dedup.shingle_sets._CACHE_BYTES", 100)
    result = run_dedup(shards)
    assert tree(result.folder) == whole


@pytest.mark.parametrize("step", [step.name for step in DEDUP.steps])
def test_a_run_killed_between_steps_goes_on_to_the_same_bytes(
    run_dedup: RunDedup, tmp_path: Path, step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    shards = shards_of(make_corpus(7), 3)
    every: dict[str, Any] = {"passages": {"min_characters": 1}, "url": True, "keep_index": True}
    whole = tree(run_dedup(shards, **every).folder)

    def die(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(type(next(one for one in DEDUP.steps if one.name == step)), "finish", die)
        with pytest.raises(KeyboardInterrupt):
            run_dedup(shards, **every)
    partial = tmp_path / "run1" / "dedup.partial"
    records = partial / ("records" if step == "filter" else f"work/{step}/records")
    sorted(records.glob("*.json"))[-1].unlink()
    assert tree(run_dedup(shards, resume=True, **every).folder) == whole


def test_a_copy_goes_with_its_twin_to_the_document_that_stays(run_dedup: RunDedup) -> None:
    draw = random.Random(8)
    longest = make_text(draw, 200)
    shorter = " ".join(longest.split()[:190])
    rows = [document(1, shorter), document(2, longest), document(3, shorter.replace(" ", "\n"))]
    result = run_dedup([rows])
    assert result.kept_ids == {f"{2:032x}"}
    assert {row["method"] for row in result.removed} == {"minhash"}
    assert len({row["similarity"] for row in result.removed}) == 1
    assert result.kept[0]["meta"]["dedup"] == {"component": f"{1:032x}", "cluster_size": 3}


def test_failed_candidates_share_a_component_and_both_stay(run_dedup: RunDedup) -> None:
    draw = random.Random(9)
    text = make_text(draw, 200)
    result = run_dedup([[document(1, text), document(2, edit_text(text, 2, draw))]], minhash={"verify_jaccard": 0.95})
    assert len(result.kept) == 2
    assert {row["meta"]["dedup"]["component"] for row in result.kept} == {f"{1:032x}"}
    assert result.manifest.results["unlike_pairs"] == 1


def test_equal_urls_are_duplicates_where_that_is_asked_for(run_dedup: RunDedup) -> None:
    draw = random.Random(21)
    one, two, three = (make_text(draw, 100) for _ in range(3))
    rows = [
        document(1, one + " " * 200 + "longest"),
        document(2, two.replace(" ", "  ")),
        document(3, two),  # an exact copy of 2, which goes for 1
        document(4, one),  # a near-duplicate of 1
        document(5, three),
    ]
    for row, url in zip(
        rows, ("http://a.org/x", "https://www.A.org:443/x/#top", "", "", "http://a.org/X"), strict=True
    ):
        row["url"] = url
    assert {row["method"] for row in run_dedup([rows]).removed} == {"exact", "minhash"}
    result = run_dedup([rows], url=True)
    gone = {int(row["id"], 16): (int(row["kept_id"], 16), row["method"]) for row in result.removed}
    assert gone == {2: (1, "url"), 3: (1, "url"), 4: (1, "minhash")}
    assert {row["similarity"] for row in result.removed if row["method"] == "url"} == {None}
    assert result.manifest.counts["documents"]["dropped"] == {"url_duplicate": 2, "near_duplicate": 1}
    assert result.outcome == run_dedup(shards_of(rows, 3, 1), url=True).outcome
    assert run_dedup([rows], url=True, exact=False, minhash=None).manifest.counts["documents"]["dropped"] == {
        "url_duplicate": 1
    }


def test_containment_finds_the_excerpt_that_jaccard_does_not(run_dedup: RunDedup) -> None:
    whole = make_text(random.Random(22), 200)
    excerpt = " ".join(whole.split()[20:150])
    rows = [document(1, excerpt), document(2, whole)]
    wide = {"bands": 64, "rows": 2}
    assert len(run_dedup([rows], minhash=wide).kept) == 2
    result = run_dedup([rows], minhash={**wide, "verify_containment": 0.95})
    assert result.kept_ids == {f"{2:032x}"}
    assert result.removed[0]["similarity"] == 1.0


@pytest.mark.parametrize("unit", ["ngram_characters", "ngram_tokens"])
def test_shingles_of_other_units(run_dedup: RunDedup, tmp_path: Path, unit: str) -> None:
    tokenizer = Tokenizer(WordLevel({"[UNK]": 0, **{f"w{number}": number + 1 for number in range(50_000)}}, "[UNK]"))
    tokenizer.pre_tokenizer = WhitespaceSplit()
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    text = make_text(random.Random(23), 120)
    rows = [document(1, text), document(2, text + " w1 w2"), document(3, make_text(random.Random(24), 120))]
    minhash = {"ngram_words": None, unit: 5}
    if unit == "ngram_tokens":
        minhash["tokenizer"] = str(tmp_path / "tokenizer.json")
    result = run_dedup([rows], minhash=minhash)
    assert result.kept_ids == {f"{2:032x}", f"{3:032x}"}
    expected = 116 / 118 if unit == "ngram_tokens" else pytest.approx(0.99, abs=0.01)
    assert result.removed[0]["similarity"] == expected


def test_a_tokenizer_that_cannot_be_read_is_named(run_dedup: RunDedup, tmp_path: Path) -> None:
    minhash = {"ngram_words": None, "ngram_tokens": 5, "tokenizer": str(tmp_path / "absent.json")}
    with pytest.raises(InputError, match=r"dedup.minhash.tokenizer .*absent.json: cannot be read"):
        run_dedup([[document(1, "text")]], minhash=minhash)


@pytest.mark.parametrize(
    ("minhash", "message"),
    [
        ({"ngram_characters": 9}, "a shingle is made of one unit; got ngram_words and ngram_characters"),
        ({"ngram_words": None}, "a shingle is made of one unit; got none"),
        ({"ngram_words": None, "ngram_tokens": 5}, "ngram_tokens and tokenizer are given together"),
    ],
)
def test_units_that_do_not_fit_together_are_refused(minhash: dict[str, object], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        Settings.model_validate({"dedup": {"minhash": minhash}})


def test_source_priority_decides_who_stays(run_dedup: RunDedup) -> None:
    text = make_text(random.Random(10), 100)
    rows = [document(1, text + " and more", "web"), document(2, text, "books"), document(3, text, "web")]
    assert run_dedup([rows]).kept_ids == {f"{1:032x}"}
    assert run_dedup([rows], source_priority=("books",)).kept_ids == {f"{2:032x}"}


def test_difficult_texts(run_dedup: RunDedup) -> None:
    chinese = "".join(chr(random.Random(11).randrange(0x4E00, 0x9000) + step) for step in range(200))
    texts = [
        "",
        "",
        "...",
        "word",
        "Word",
        "word!",
        "one two",
        "two one",
        chinese,
        chinese[:-3] + "的",
        "\u0001 \ud7ff",
    ]
    result = run_dedup([[document(number, text) for number, text in enumerate(texts)]])
    assert {int(row["id"], 16) for row in result.kept} & {0, 1} != {0, 1}
    gone = {int(row["id"], 16): int(row["kept_id"], 16) for row in result.removed}
    assert len(gone) == 4
    assert {gone.get(number, number) for number in (3, 4, 5)} == {5}
    assert {gone.get(number, number) for number in (8, 9)} < {8, 9}
    assert {2, 6, 7, 10}.isdisjoint(gone)


def test_identical_ids_lose_no_document(run_dedup: RunDedup) -> None:
    draw = random.Random(12)
    one, two = make_text(draw, 50), make_text(draw, 50)
    rows = [document(1, one), document(1, two), document(1, one), document(2, one)]
    result, other = run_dedup([rows]), run_dedup(shards_of(rows, 3, 1))
    assert len(result.kept) == 2
    assert sorted(row["text"] for row in result.kept) == sorted([one, two]) == sorted(row["text"] for row in other.kept)
    assert result.manifest.counts["documents"]["in"] == 4


@pytest.mark.parametrize("exact", [True, False])
def test_many_identical_documents_leave_one_in_linear_time(run_dedup: RunDedup, exact: bool) -> None:
    count = 8000 if exact else 2000
    rows = [document(number, "the same few words in each and every document") for number in range(count)]
    start_s = time.process_time()
    result = run_dedup(shards_of(rows, 2), exact=exact, max_drop_share=1)
    assert len(result.kept) == 1
    assert result.kept[0]["meta"]["dedup"]["cluster_size"] == count
    assert result.manifest.results["candidate_pairs"] == (0 if exact else result.manifest.results["candidate_pairs"])
    assert result.manifest.results["candidate_pairs"] <= 16 * count
    assert time.process_time() - start_s < 30


def test_each_rule_can_be_left_out(run_dedup: RunDedup) -> None:
    text = make_text(random.Random(13), 100)
    rows = [document(1, text), document(2, text), document(3, text + " end"), document(4, "other")]
    exact_only = run_dedup([rows], minhash=None)
    assert [row["method"] for row in exact_only.removed] == ["exact"]
    assert exact_only.manifest.counts["judged"] == {"exact_duplicate": {"made": 4}}
    near_only = run_dedup([rows], exact=False)
    assert {row["method"] for row in near_only.removed} == {"minhash"}
    assert near_only.kept_ids == {f"{3:032x}", f"{4:032x}"}
    both = run_dedup([rows])
    assert both.manifest.counts["documents"]["dropped"] == {"near_duplicate": 2}
    with pytest.raises(SettingsError, match="dedup would do nothing"):
        run_dedup([rows], exact=False, minhash=None)


def test_bad_records_are_quarantined_and_counted(run_dedup: RunDedup) -> None:
    rows = [document(number, make_text(random.Random(number), 30)) for number in range(20)]
    rows.insert(3, {"text": 12})
    rows[9] = {"note": "no text"}
    with pytest.raises(InputError, match="2 of 21 records are bad"):
        run_dedup([rows])
    result = run_dedup([rows], max_bad_fraction=0.5)
    assert sum(result.manifest.counts["documents"]["quarantined"].values()) == 2
    bad = list(read_objects(result.folder / "quarantine" / "00000.jsonl.zst"))
    assert [(one["source"], one["locator"]) for one in bad] == [("made", "000.jsonl")] * 2
    assert len(result.kept) == 19


def test_warnings_and_strict(run_dedup: RunDedup) -> None:
    text = make_text(random.Random(14), 60)
    rows = [document(number, text) for number in range(30)]
    result = run_dedup([rows], keep=("quality",), max_drop_share=1)
    assert result.manifest.warnings == [
        "near_duplicate judged 1 documents and dropped or changed none",
        "dedup.keep names 'quality', but no document has meta.quality",
    ]
    with pytest.raises(InputError, match="--strict: the stage has warnings"):
        run_dedup([rows], strict=True, max_drop_share=1)


def test_a_source_that_would_lose_too_much_stops_the_stage_until_it_is_allowed(run_dedup: RunDedup) -> None:
    text = make_text(random.Random(14), 60)
    rows = [document(number, text, "web") for number in range(30)] + [document(99, "something else", "books")]
    with pytest.raises(InputError, match=r"remove 29 of the 30 documents of 'web', more than dedup.max_drop_share 0.9"):
        run_dedup([rows])
    assert len(run_dedup([rows], resume=True, max_drop_share=1.0).kept) == 2


def test_a_dry_run_names_the_curve_and_the_disk(tmp_path: Path) -> None:
    (tmp_path / "in.jsonl").write_text(json.dumps({"text": "some words"}) + "\n")
    settings = Settings.model_validate({"dedup": {"data": str(tmp_path / "in.jsonl")}})
    lines = plan_stage(DEDUP, settings, tmp_path / "run")
    assert any("14 bands x 8 rows" in line for line in lines)
    assert "  0.8   92.4%  " + 37 * "#" in lines
    assert any("memory at most" in line for line in lines)
    assert any("600 bytes a document" in line for line in lines)
    assert not (tmp_path / "run").exists()


def test_an_empty_input_gives_an_empty_artifact(run_dedup: RunDedup) -> None:
    result = run_dedup([[]])
    assert (result.kept, result.removed) == ([], [])


def test_a_run_over_the_artifact_of_curate_keeps_its_shard_numbers(run_dedup: RunDedup, tmp_path: Path) -> None:
    first = run_dedup(shards_of(make_corpus(15), 3))
    run_folder = tmp_path / "chained"
    shutil.copytree(first.folder, run_folder / "curate")
    (run_folder / "curate" / "data" / "00001.jsonl.zst").rename(run_folder / "curate" / "data" / "00007.jsonl.zst")
    path = run_folder / "curate" / "manifest.json"
    path.write_text(path.read_text().replace("data/00001.jsonl.zst", "data/00007.jsonl.zst"))
    built = build_stage(DEDUP, Settings.model_validate({"run": {"workers": 1}}), run_folder, BuildOptions())
    second = read_result(built.folder, built.manifest)
    assert sorted(path.name[:5] for path in (second.folder / "data").iterdir()) == ["00000", "00002", "00007"]
    assert second.kept_ids == first.kept_ids
