"""`llmforge tokenize` as a user meets it: the comparison of kinds, and the files of other trainers."""

import json
from collections.abc import Callable
from pathlib import Path

from llmforge.pipeline.build import Built

SMALL = ("--set", "tokenize.vocab_size=400", "--set", "tokenize.val_fraction=0.2", "--set", "model.preset=gpt2-nano")
TWO_KINDS = ("--set", "tokenize.compare.algorithms=[bpe, word_space]", "--set", "tokenize.compare.vocab_sizes=[300]")


def test_compare_prints_tables_and_touches_no_artifact(
    llmforge, tmp_path: Path, corpus: Path, tokenize: Callable[..., Built]
) -> None:
    run = tokenize(corpus).folder.parent
    before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    options = ("--data", corpus, "--set", f"run.dir={tmp_path}", "--set", "run.name=run", *SMALL, *TWO_KINDS)
    result = llmforge("tokenize", "--compare", *options, cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    lines = result.stdout.splitlines()
    assert lines[0].startswith("trained on ")
    assert {"scores on held-out text", "what it means for training", "bytes per token by source"} <= set(lines)
    assert max(map(len, lines)) <= 100
    bars = {line.split()[0]: line.split()[-1] for line in lines[-2:]}
    assert set(bars["bpe"]) == {"█"}
    assert set(bars["word_space"]) == {"░"}
    assert "bpe 300: " in result.stderr
    assert (run / "tokenize-compare.md").read_text().startswith("| algorithm | tokens | comes back |")
    assert [row["vocab_size"] for row in json.loads((run / "tokenize-compare.json").read_text())["rows"]] == [300, 22]
    assert all(path.read_bytes() == content for path, content in before.items())


def test_compare_with_json_and_as_a_dry_run(llmforge, tmp_path: Path, corpus: Path) -> None:
    words = ("tokenize", "--compare", "--data", corpus, *SMALL, *TWO_KINDS)
    result = llmforge(*words, "--json", cwd=tmp_path)
    found = json.loads(result.stdout)
    assert [row["algorithm"] for row in found["rows"]] == ["bpe", "word_space"]
    assert found["rows"][0]["scores"]["round_trip"] == 1
    dry = llmforge(*words, "--dry-run", cwd=tmp_path / "corpus")
    assert dry.stdout.splitlines() == ["trains  bpe 300", "trains  word_space 300"]
    assert not (tmp_path / "corpus" / "runs").exists()
    refused = llmforge(*words, "--force", cwd=tmp_path)
    assert refused.returncode == 2
    assert "--force and --strict do not go with it" in refused.stderr
