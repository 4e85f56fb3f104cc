"""On the real sample corpora: other libraries give the same ids, line by line and document by document."""

import bz2
import gzip
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import orjson
import pytest

from llmforge.config.tokenize import Algorithm, TokenizeSection
from llmforge.core.files import write_bytes
from llmforge.tokenize.algorithms import train
from llmforge.tokenize.encoders import FASTER
from llmforge.tokenize.existing import use_existing
from llmforge.tokenize.sentencepiece import train_sentencepiece
from llmforge.tokenize.tokenizer import EOS_TOKEN, Tokenizer
from llmforge.tokenize.training import slice_text

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]


@pytest.fixture(scope="module")
def texts(real_data: Path) -> dict[str, list[str]]:
    """The documents of every file of the sample corpora, and sentences of 75 languages."""
    files = [*sorted((real_data / "text").iterdir()), real_data / "langid" / "lingua_sentences.jsonl.gz"]
    return {file.name: list(read(file)) for file in files}


def read(file: Path) -> Iterator[str]:
    if file.name.endswith(".jsonl.gz"):
        with gzip.open(file) as lines:
            yield from (orjson.loads(line)["text"] for line in lines)
    elif file.name.endswith(".bz2"):
        yield bz2.decompress(file.read_bytes()).decode()
    else:
        yield file.read_text(encoding="utf-8")


def sample(texts: dict[str, list[str]], chars: int = 400_000) -> list[list[str]]:
    """The first characters of every file, to train on."""
    return [slice_text("".join(documents)[:chars]) for documents in texts.values()]


@pytest.mark.parametrize("kind", ["bpe", "unigram"])
def test_sentencepiece_agrees_on_every_line(texts: dict[str, list[str]], tmp_path: Path, kind: str) -> None:
    sentencepiece = pytest.importorskip("sentencepiece")
    path = tmp_path / "sample.model"
    write_bytes(path, train_sentencepiece(kind, 4000, True, sample(texts)))
    own, converted = sentencepiece.SentencePieceProcessor(model_file=str(path)), use_existing(str(path), "gpt2")
    num_lines = 0
    for name, documents in texts.items():
        for document in documents:
            lines = document.splitlines(keepends=True)
            for line, ours, theirs in zip(lines, converted.encode_batch(lines), own.encode(lines), strict=True):
                assert ours.tolist() == theirs, (name, line)
            num_lines += len(lines)
    assert num_lines > 500_000


@pytest.mark.parametrize("algorithm", get_args(Algorithm))
def test_transformers_gives_the_same_ids(texts: dict[str, list[str]], tmp_path: Path, algorithm: str) -> None:
    """Byte-level BPE on all 66 million characters, the other kinds on the beginning of each of 25,750 documents."""
    chars = None if algorithm == "bpe" else 5_000
    transformers = pytest.importorskip("transformers")
    settings = TokenizeSection(vocab_size=8000).model_copy(update={"algorithm": algorithm})
    ours = Tokenizer(train(settings, sample(texts)), EOS_TOKEN)
    ours.save(tmp_path / "tokenizer.json", tmp_path / "tokenizer_config.json")
    theirs = transformers.AutoTokenizer.from_pretrained(tmp_path)
    assert theirs.is_fast
    for name, documents in texts.items():
        pieces = [piece for document in documents for piece in slice_text(document[:chars], 100_000)]
        for start in range(0, len(pieces), 200):
            batch = pieces[start : start + 200]
            found = theirs(batch, add_special_tokens=False, split_special_tokens=True)["input_ids"]
            for expected, ids in zip(ours.encode_batch(batch), found, strict=True):
                assert expected.tolist() == ids, name


@pytest.mark.parametrize(("pattern", "chars"), [("gpt2", None), ("gpt4", 20_000), ("llama3", 20_000)])
def test_faster_encoders_agree_on_every_document(texts: dict[str, list[str]], pattern: str, chars: int | None) -> None:
    settings = TokenizeSection.model_validate({"vocab_size": 8000, "split_pattern": pattern})
    tokenizer = Tokenizer(train(settings, sample(texts)), EOS_TOKEN)
    for name, make in FASTER.items():
        pytest.importorskip(name)
        if (name, pattern) == ("gigatoken", "gpt4"):  # it knows other spellings of this pattern only
            continue
        encode = make(tokenizer)
        for file, documents in texts.items():
            beginnings = [document[:chars] for document in documents]
            for ours, theirs in zip(tokenizer.encode_batch(beginnings), encode(beginnings), strict=True):
                assert ours.tolist() == theirs.tolist(), (name, file)
