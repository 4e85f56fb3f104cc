import json
import random
import re
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import pytest
from deduplicating import document, make_corpus, make_text, write_shards

Llmforge = Callable[..., "CompletedProcess[str]"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_shards(tmp_path / "texts", [make_corpus(1)[:60], make_corpus(2)[:60]])
    return tmp_path


def test_a_recall_chooses_bands_and_rows_and_the_curve_is_drawn(llmforge: Llmforge, folder: Path) -> None:
    planned = llmforge("dedup", "--data", "texts", "--target-recall", "0.95", "--at", "0.8", "--dry-run", cwd=folder)
    assert "34 bands x 11 rows find, of the pairs at similarity" in planned.stdout
    assert re.search(r"0\.8 +95\.3% +#{38}", planned.stdout)
    made = llmforge("dedup", "--data", "texts", "--target-recall", "0.95", cwd=folder)
    assert made.returncode == 0, made.stderr
    assert "34 bands x 11 rows find" in made.stderr
    manifest = json.loads((folder / "runs/llmforge/dedup/manifest.json").read_text())
    assert manifest["settings"]["minhash"]["bands"] == 34
    refused = llmforge("dedup", "--data", "texts", "--target-recall", "2", cwd=folder)
    assert refused.returncode == 2
    assert "--target-recall: recall 2.0 and similarity 0.8 must lie between 0 and 1" in refused.stderr
    alone = llmforge("dedup", "--data", "texts", "--at", "0.7", cwd=folder)
    assert (alone.returncode, "add --target-recall" in alone.stderr) == (2, True)


def test_self_check_prints_what_is_found_of_planted_copies(llmforge: Llmforge, folder: Path) -> None:
    shown = llmforge("dedup", "--data", "texts", "--self-check", cwd=folder)
    assert shown.returncode == 0, shown.stderr
    assert "similarity  planted  duplicates  found  by curve" in shown.stdout
    assert "precision 1.0000 (0 removals of others)" in shown.stdout
    found = json.loads(llmforge("dedup", "--data", "texts", "--self-check", "--json", cwd=folder).stdout)
    assert [level["similarity"] for level in found["levels"]] == [0.5, 0.6, 0.7, 0.8, 0.9]
    assert not (folder / "runs").exists()


def test_documents_of_one_url_are_shown_without_a_similarity(llmforge: Llmforge, tmp_path: Path) -> None:
    rows = [{**document(number, f"version {number}"), "url": "http://a.org/page"} for number in range(2)]
    write_shards(tmp_path / "texts", [rows])
    made = llmforge("dedup", "--data", "texts", "--set", "dedup.url=true", cwd=tmp_path)
    assert made.returncode == 0, made.stderr
    shown = llmforge("inspect", "dups", "runs/llmforge", "--method", "url", cwd=tmp_path)
    assert shown.stdout.splitlines()[0].endswith("stays: url")
    assert llmforge("verify", "runs/llmforge", cwd=tmp_path).returncode == 0


def test_the_memory_that_was_foretold_is_held(llmforge: Llmforge, tmp_path: Path) -> None:
    draw = random.Random(3)
    rows = [document(number, make_text(draw, 250)) for number in range(3000)]
    write_shards(tmp_path / "texts", [rows[:2000], rows[2000:] + rows[:1000]])
    planned = llmforge("dedup", "--data", "texts", "--dry-run", cwd=tmp_path).stdout
    foretold = int(re.search(r"memory at most ([\d,]+) MiB", planned)[1].replace(",", ""))
    assert llmforge("dedup", "--data", "texts", "--workers", "2", cwd=tmp_path).returncode == 0
    manifest = json.loads((tmp_path / "runs/llmforge/dedup/manifest.json").read_text())
    assert 40 < manifest["peak_rss_bytes"] / 2**20 <= foretold < 1024


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_hundred_thousand_identical_documents_and_a_very_long_one(llmforge: Llmforge, tmp_path: Path) -> None:
    same = "the same few words stand in each and every one of these documents"
    write_shards(tmp_path / "texts", [[document(number, same) for number in range(100_000)]])
    long_one = document(200_000, make_text(random.Random(4), 1000) + " and so on" * 10_000_000)
    write_shards(tmp_path / "texts" / "long", [[long_one]])
    words = ["--data", "texts", "--set", "dedup.max_drop_share=1", "--set", "dedup.max_record_bytes=200000000"]
    made = llmforge("dedup", *words, "--json", cwd=tmp_path, timeout=280)
    assert made.returncode == 0, made.stderr
    result = json.loads(made.stdout)
    assert result["counts"]["documents"]["kept"] == 2
    assert result["results"]["candidate_pairs"] == 0
