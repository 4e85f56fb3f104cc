"""Baselines: token frequencies with one added, and gzip on each document by itself."""

import gzip
import math
from pathlib import Path

import pytest
from test_train_data import make_store

from llmforge.tokenize.token_store import TokenStore
from llmforge.tokenize.tokenizer import load_tokenizer
from llmforge.train.baselines import count_tokens, document_texts, gzip_bits_per_byte, unigram_bits_per_byte


def test_unigrams_are_fitted_on_training_and_judged_on_validation(tmp_path: Path) -> None:
    make_store(tmp_path, {"train": [("a", [[1, 1, 1], [2]])], "val": [("a", [[1, 3]])]})
    train, val = TokenStore.open(tmp_path, "train"), TokenStore.open(tmp_path, "val")
    assert count_tokens(train)[:4].tolist() == [2, 3, 1, 0]
    total = 6 + 1000
    expected = -(math.log2(4 / total) + math.log2(1 / total) + math.log2(3 / total)) / 2
    assert unigram_bits_per_byte(train, val) == pytest.approx(expected)


def test_gzip_packs_each_document_by_itself() -> None:
    texts = [b"some text, some text, some text" * 9, b"other words"]
    size = sum(len(gzip.compress(text, 9)) for text in texts)
    assert gzip_bits_per_byte(iter(texts)) == pytest.approx(8 * size / sum(map(len, texts)))
    assert math.isnan(gzip_bits_per_byte(iter([])))


def test_documents_come_back_from_their_tokens(tokenized: Path) -> None:
    store = TokenStore.open(tokenized / "tiny/tokenize", "val")
    texts = list(document_texts(store, load_tokenizer(tokenized / "tiny/tokenize")))
    assert sum(map(len, texts)) == store.num_bytes
    rows = (tokenized / "text.jsonl").read_text(encoding="utf-8")
    assert all(orjson_text(text) in rows for text in texts)


def orjson_text(text: bytes) -> str:
    import json

    return json.dumps(text.decode())
