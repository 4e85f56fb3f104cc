"""Hostile text and hostile tokenizers: a clear error, a counted quarantine, or an exact round trip."""

import json
import random
from collections.abc import Callable
from pathlib import Path

import pytest

from llmforge.core.errors import InputError
from llmforge.core.shards import read_objects
from llmforge.pipeline.build import Built
from llmforge.tokenize.token_store import SPLITS, TokenStore
from llmforge.tokenize.tokenizer import load_tokenizer

Tokenize = Callable[..., Built]

EXACT = {
    "emoji of four bytes": "😀👨‍👩‍👧‍👦🏳️‍🌈 𝕳𝖊𝖑𝖑𝖔 𐍈𒀀 \U0010ffff",
    "right to left": "שָׁלוֹם עֲלֵיכֶם \u202eمرحبا بالعالم\u202c \u2066x\u2069",
    "combining marks": "Z͑ͫ̓ͪ̂ͫ̽͏̴̙̤̞͉͚̯̞̠͍A̴̵̜̰͔ͫ͗͢ e\u0301 é " + "a" + "\u0301" * 500,
    "control characters": "\x01\x02\x1b[31m\x7f\x80\x9f\ufeff\ufffe\ufffd\u2028\u2029\r\r\n\t\v\f",
    "blanks alone": " \u00a0\u3000\u2003\n\n\t ",
    "no word": "\u200b\u200d\u2060",
}


def write(path: Path, texts: list[str]) -> Path:
    path.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
    return path


def stored(folder: Path) -> list[str]:
    tokenizer = load_tokenizer(folder)
    return [
        tokenizer.decode(store.read(number, span.first_token, span.num_tokens - 1))
        for store in (TokenStore.open(folder, split) for split in SPLITS)
        for number, shard in enumerate(store.shards)
        for span in store.documents(number, 0, shard.num_tokens)
    ]


@pytest.mark.parametrize("algorithm", ["bpe", "char_bpe", "byte", "char"])
def test_hostile_text_comes_back_exactly(tmp_path: Path, tokenize: Tokenize, algorithm: str) -> None:
    texts = [*EXACT.values(), "ordinary words", "and more of them"]
    built = tokenize(write(tmp_path / "a.jsonl", texts), algorithm=algorithm, vocab_size=600)
    assert sorted(stored(built.folder)) == sorted(texts)


@pytest.mark.parametrize("algorithm", ["wordpiece", "word_space", "word_punctuation", "word_rule"])
def test_kinds_that_lose_text_take_it_too(tmp_path: Path, tokenize: Tokenize, algorithm: str) -> None:
    texts = [*EXACT.values(), "ordinary words", "and more of them"]
    built = tokenize(write(tmp_path / "a.jsonl", texts), algorithm=algorithm, vocab_size=600)
    assert sum(TokenStore.open(built.folder, split).num_documents for split in SPLITS) == len(texts)
    assert built.manifest.results["tokenizer"]["lossless"] is False


@pytest.mark.parametrize(("content", "message"), [("", "no text to tokenize"), ("\n\n", "no text to tokenize")])
def test_an_empty_corpus_is_an_error(tmp_path: Path, tokenize: Tokenize, content: str, message: str) -> None:
    (tmp_path / "a.jsonl").write_text(content)
    with pytest.raises(InputError, match=message):
        tokenize(tmp_path / "a.jsonl")


@pytest.mark.parametrize(
    ("line", "error"),
    [
        (rb'{"text": "a \ud800 b"}', "lone_surrogate"),
        (rb'{"text": "a \u0000 b"}', "nul_character"),
        (b'{"text": "\xff\xfe"}', "invalid_utf8"),
        (b'{"text": "' + b"x" * 5000 + b'"}', "record_too_large"),
        (b'{"words": "none"}', "missing_text"),
    ],
)
def test_a_record_that_is_no_text_is_quarantined_by_name(
    tmp_path: Path, tokenize: Tokenize, line: bytes, error: str
) -> None:
    good = [json.dumps({"text": f"document {number}"}).encode() for number in range(9)]
    (tmp_path / "a.jsonl").write_bytes(b"\n".join([*good, line]))
    with pytest.raises(InputError, match="1 of 10 records"):
        tokenize(tmp_path / "a.jsonl", name="strict", max_record_bytes=2000)
    built = tokenize(tmp_path / "a.jsonl", max_record_bytes=2000, max_bad_fraction=0.5)
    (found,) = read_objects(built.folder / "quarantine" / "00000.jsonl.zst")
    assert found["error"] == error
    assert len(stored(built.folder)) == 9


@pytest.mark.parametrize("encoder", ["gigatoken", "tokenizers"])
def test_a_long_line_without_blanks_comes_back(
    tmp_path: Path, tokenize: Tokenize, encoder: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("gigatoken")
    if encoder == "tokenizers":
        monkeypatch.setattr("llmforge.tokenize.encoders.FASTER", {})
    long = "".join(random.Random(0).choices("abcdefgh", k=1_000_000))
    built = tokenize(write(tmp_path / "a.jsonl", [long, "short", "words"]))
    assert built.manifest.results["encoder"]["name"] == encoder
    assert long in stored(built.folder)


@pytest.mark.slow
def test_a_line_of_100_mb_without_blanks_comes_back(tmp_path: Path, tokenize: Tokenize) -> None:
    pytest.importorskip("gigatoken")
    long = "".join(random.Random(0).choices("abcdefgh", k=1_000_000)) * 100
    path = write(tmp_path / "a.jsonl", [long, "short", "words"])
    with pytest.raises(InputError, match="1 of 3 records"):
        tokenize(path, name="strict")
    built = tokenize(path, max_record_bytes=1 << 27)
    assert long in stored(built.folder)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('{"version": "1.0", "model": {"type": "BPE", "vo', "not a tokenizer"),
        ('{"version": "1.0", "model": {"type": "BPE", "vocab": {}, "merges": [["a", "b"]]}}', "not a tokenizer"),
        ("[" * 100_000, "not a tokenizer"),
        ('{"model": {"type": "WordLevel", "vocab": {"a": 4294967295}, "unk_token": "a"}}', "highest id"),
        ('{"model": {"type": "WordLevel", "vocab": {"a": -1}, "unk_token": "a"}}', "not a tokenizer"),
        ("\0" * 100, "not a tokenizer"),
    ],
)
def test_a_hostile_tokenizer_is_an_error(
    tmp_path: Path, corpus: Path, tokenize: Tokenize, content: str, message: str
) -> None:
    (tmp_path / "tokenizer.json").write_text(content)
    with pytest.raises(InputError, match=message):
        tokenize(corpus, tokenizer=str(tmp_path / "tokenizer.json"))


def test_a_pattern_that_backtracks_without_end_does_not_hang(tmp_path: Path, tokenize: Tokenize) -> None:
    pattern = {"type": "Split", "pattern": {"Regex": "(x+x+)+y"}, "behavior": "Isolated", "invert": False}
    value = {"version": "1.0", "pre_tokenizer": pattern, "model": {"type": "BPE", "vocab": {"x": 0}, "merges": []}}
    (tmp_path / "tokenizer.json").write_text(json.dumps(value))
    text = write(tmp_path / "x.jsonl", ["x" * 60, "x"])
    with pytest.raises(InputError, match="encoding: the tokenizers library gave up"):
        tokenize(text, tokenizer=str(tmp_path / "tokenizer.json"))
