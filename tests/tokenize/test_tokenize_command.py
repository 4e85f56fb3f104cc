"""`llmforge tokenize` as a user meets it: the comparison of kinds, and the files of other trainers."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np

from llmforge.core.documents import Document
from llmforge.core.shards import read_documents
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
    dry = llmforge(*words, "--dry-run", "--set", "tokenize.tokenizer=mine.json", cwd=tmp_path)
    assert dry.stdout.splitlines()[0] == "loads   existing mine.json"
    refused = llmforge(*words, "--force", cwd=tmp_path)
    assert refused.returncode == 2
    assert "--force and --strict do not go with it" in refused.stderr


def test_inspect_tokens_shows_pieces_of_a_text_and_of_a_run(
    llmforge, tmp_path: Path, corpus: Path, tokenize: Callable[..., Built]
) -> None:
    run = tokenize(corpus).folder.parent
    plain = llmforge("inspect", "tokens", "the rivers 🙂", "--tokenizer", run, cwd=tmp_path)
    assert plain.returncode == 0, plain.stderr
    lines = plain.stdout.splitlines()
    assert lines[0].startswith("the| river|s")
    assert "\x1b" not in plain.stdout
    assert lines[2].split() == ["id", "spelling", "bytes", "text"]
    assert lines[3].split()[1:] == ["the", "74", "68", "65", "'the'"]
    assert lines[-1].startswith("15 bytes, ")
    coloured = llmforge("inspect", "tokens", "the rivers", "--tokenizer", run, env={"FORCE_COLOR": "1"})
    assert "\x1b[30;106mthe\x1b[0m" in coloured.stdout
    found = json.loads(llmforge("inspect", "tokens", run, "--tokens", "5", "--json").stdout)
    assert len(found["tokens"]) == 5
    assert bytes.fromhex("".join(token["bytes"] for token in found["tokens"])).decode() == found["text"]
    absent = llmforge("inspect", "tokens", "words", "--tokenizer", tmp_path / "absent")
    assert (absent.returncode, "no such run or tokenizer" in absent.stderr) == (3, True)
    nothing = llmforge("inspect", "tokens", "words", cwd=tmp_path)
    assert (nothing.returncode, "--tokenizer runs/demo" in nothing.stderr) == (3, True)


def test_inspect_data_shows_rows_with_their_documents(
    llmforge, tmp_path: Path, corpus: Path, documents: list[Document]
) -> None:
    texts = {document.id: document for document in documents}
    words = ("--data", corpus, "--set", "run.name=run", "--set", "model.context=16", *SMALL)
    assert llmforge("tokenize", *words, cwd=tmp_path).returncode == 0
    for split, row_tokens in (("train", 17), ("val", 16)):
        shown = llmforge("inspect", "data", "runs/run", "--split", split, "--rows", "9", "--json", cwd=tmp_path)
        assert shown.returncode == 0, shown.stderr
        rows = json.loads(shown.stdout)["rows"]
        assert [row["number"] for row in rows] == list(range(9))
        for row in rows:
            assert sum(part["num_tokens"] for part in row["parts"]) == row_tokens
            for part in row["parts"]:
                whole = texts[part["document"]["id"]]
                assert part["text"] in whole.text
                assert (part["document"]["url"], row["source"]) == (whole.url, whole.source)
    shown = llmforge("inspect", "data", "runs/run", "--first", "3", cwd=tmp_path).stdout
    assert shown.startswith("row 3: 17 tokens of source ")
    assert "--- document " in shown
    packing = json.loads(llmforge("inspect", "data", "runs/run", "--packing", "--json", cwd=tmp_path).stdout)
    assert (packing["context"], packing["packing"]["concatenate"]["padding"]) == (16, 0)
    lines = llmforge("inspect", "data", "runs/run", "--packing", cwd=tmp_path).stdout.splitlines()
    assert lines[0].startswith("packing, context 16")
    assert [line.split()[-1] == "0.0%" for line in lines[1:]] == [True, False]
    beyond = llmforge("inspect", "data", "runs/run", "--split", "val", "--first", "100000", cwd=tmp_path)
    assert (beyond.returncode, "the val split has no row 100,000" in beyond.stderr) == (3, True)
    absent = llmforge("inspect", "data", "runs", cwd=tmp_path)
    assert (absent.returncode, "runs: no tokenized run" in absent.stderr) == (3, True)


def test_tokens_are_exported_for_other_trainers_and_come_back(
    llmforge, tmp_path: Path, corpus: Path, tokenize: Callable[..., Built], documents: list[Document]
) -> None:
    built = tokenize(corpus)
    run, store = built.folder.parent, built.manifest.results["store"]
    result = llmforge("export-tokens", run, "-o", "megatron", cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    assert [line.split()[0] for line in result.stdout.splitlines()] == [
        f"megatron/{split}{ending}" for split in ("train", "val") for ending in (".bin", ".idx")
    ]
    words = ("export-tokens", run, "--format", "nanogpt", "-o", "nano", "--json")
    assert json.loads(llmforge(*words, cwd=tmp_path).stdout)["files"] == {
        f"nano/{split}.bin": 2 * store[split]["num_tokens"] for split in ("train", "val")
    }
    for split in ("train", "val"):
        flat = np.memmap(tmp_path / "nano" / f"{split}.bin", dtype=np.uint16, mode="r")
        index = (tmp_path / "megatron" / f"{split}.idx").read_bytes()
        lengths = np.frombuffer(index, "<i4", store[split]["num_documents"], 34)
        assert lengths.sum() == len(flat)
        assert (flat[np.cumsum(lengths) - 1] == flat[-1]).all()  # every document ends with the end token
        assert (tmp_path / "megatron" / f"{split}.bin").read_bytes() == flat.tobytes()
    for name in ("megatron/train.idx", "nano/train.bin"):
        words = ("import-tokens", name, "--tokenizer", run, "-o", "back/train.jsonl.zst", "--json")
        back = json.loads(llmforge(*words, cwd=tmp_path).stdout)
        assert (back["documents"], back["bytes"]) == (store["train"]["num_documents"], store["train"]["num_bytes"])
        found = {document.text for document in read_documents(tmp_path / "back/train.jsonl.zst")}
        assert found <= {document.text for document in documents}
    again = tokenize(tmp_path / "back", name="again", tokenizer=str(built.folder)).manifest.results["store"]
    assert again["train"]["num_tokens"] + again["val"]["num_tokens"] == store["train"]["num_tokens"]
    absent = llmforge("export-tokens", tmp_path / "absent", "-o", "nano", cwd=tmp_path)
    assert (absent.returncode, "the stage 'tokenize' has not finished" in absent.stderr) == (3, True)


def test_tokens_that_cannot_be_imported_are_clear_errors(
    llmforge, tmp_path: Path, corpus: Path, tokenize: Callable[..., Built]
) -> None:
    run = tokenize(corpus).folder.parent
    (tmp_path / "foreign.bin").write_bytes(np.array([5, 60_000, 1], "<u2").tobytes())
    words = ("import-tokens", "foreign.bin", "--tokenizer", run, "-o")
    foreign = llmforge(*words, "a.jsonl.zst", cwd=tmp_path)
    assert (foreign.returncode, "document 0 has a token 60,000" in foreign.stderr) == (3, True)
    assert not (tmp_path / "a.jsonl.zst").exists()
    assert llmforge(*words, "a.json", cwd=tmp_path).returncode == 2
    absent = llmforge("import-tokens", "absent.idx", "--tokenizer", run, "-o", "a.jsonl.zst", cwd=tmp_path)
    assert (absent.returncode, "absent.idx: no such file" in absent.stderr) == (3, True)
