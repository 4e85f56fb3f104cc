"""Tokenizers that others made: the same ids in every format, clear errors for damaged files."""

import base64
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from llmforge.config.tokenize import TokenizeSection
from llmforge.core.errors import InputError
from llmforge.pipeline.build import Built
from llmforge.tokenize.algorithms import train
from llmforge.tokenize.existing import find_tokenizer_files, round_trips, use_existing
from llmforge.tokenize.sentencepiece import train_sentencepiece
from llmforge.tokenize.token_store import TokenStore
from llmforge.tokenize.tokenizer import EOS_TOKEN, Tokenizer, load_tokenizer

SENTENCE = "The brown fox isn't jumping over 12345 dogs, naïve café 東京 😀 again {}.\n\n  def f(x):\n"
TEXTS = [SENTENCE.format(number * 37) for number in range(60)]
SAMPLE = [*TEXTS[:5], "", "foxes don't jump 99\t\n ", "𒀀 שלום", f"{EOS_TOKEN}", " " * 40 + "x" * 300]


@pytest.fixture(scope="module")
def bpe() -> Tokenizer:
    section = TokenizeSection.model_validate({"vocab_size": 500, "split_pattern": "gpt4"})
    return Tokenizer(train(section, [TEXTS]), EOS_TOKEN)


def assert_same_ids(first: Tokenizer, second: Tokenizer) -> None:
    for text in SAMPLE:
        assert np.array_equal(first.encode(text), second.encode(text)), text


@pytest.fixture
def ranks(tmp_path: Path, bpe: Tokenizer) -> Path:
    path = tmp_path / "mine.tiktoken"
    pieces = bpe.token_bytes()[:-1]
    path.write_text("".join(f"{base64.b64encode(piece).decode()} {rank}\n" for rank, piece in enumerate(pieces)))
    return path


def test_tiktoken_ranks_give_the_same_ids(ranks: Path, bpe: Tokenizer) -> None:
    tokenizer = use_existing(str(ranks), "gpt4")
    assert_same_ids(tokenizer, bpe)
    assert (tokenizer.eos_token, tokenizer.eos_id) == (EOS_TOKEN, bpe.eos_id)
    assert round_trips(tokenizer)


@pytest.mark.parametrize("name", ["", "vocab.json", "merges.txt"])
def test_gpt2_files_give_the_same_ids(tmp_path: Path, bpe: Tokenizer, name: str) -> None:
    bpe._library.model.save(str(tmp_path))
    assert {path.name for path in tmp_path.iterdir()} == {"vocab.json", "merges.txt"}
    assert_same_ids(use_existing(str(tmp_path / name), "gpt4"), bpe)


def test_a_tokenizer_json_is_used_with_its_end_token(tmp_path: Path) -> None:
    section = TokenizeSection.model_validate({"vocab_size": 400})
    library = train(section, [TEXTS])
    library.add_special_tokens(["<stop>"])
    library.enable_truncation(4)
    library.save(str(tmp_path / "tokenizer.json"))
    assert use_existing(str(tmp_path), "gpt2").eos_token == EOS_TOKEN
    (tmp_path / "tokenizer_config.json").write_text('{"eos_token": {"content": "<stop>"}}')
    tokenizer = use_existing(str(tmp_path), "gpt2")
    assert (tokenizer.eos_token, tokenizer.eos_id) == ("<stop>", library.get_vocab_size() - 1)
    assert tokenizer.decode(tokenizer.encode(TEXTS[0])) == TEXTS[0]  # not cut to four tokens


@pytest.mark.parametrize("kind", ["bpe", "unigram"])
def test_a_sentencepiece_model_gives_the_ids_of_its_own_library(tmp_path: Path, kind: str) -> None:
    sentencepiece = pytest.importorskip("sentencepiece")
    modules = [Path(module.__file__ or "").read_text() for module in (json, base64)]
    path = tmp_path / "mine.model"
    path.write_bytes(train_sentencepiece(kind, 900, True, [TEXTS, modules]))
    own, tokenizer = sentencepiece.SentencePieceProcessor(model_file=str(path)), use_existing(str(path), "gpt2")
    lines = [line for text in modules for line in text.splitlines(keepends=True)]
    assert len(lines) > 500
    for line in [*lines, *SAMPLE, "<0x41> <unk> <s>", "-" * 77, "a\u2581b"]:
        assert tokenizer.encode(line).tolist() == own.encode(line), line
    assert tokenizer.eos_id == own.get_piece_size()
    assert not round_trips(tokenizer)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"normalization_rule_name": "nmt_nfkc", "byte_fallback": True}, "  ﬁne  day\tout ½ "),
        ({"normalization_rule_name": "identity", "add_dummy_prefix": False, "byte_fallback": True}, " a  b"),
    ],
)
@pytest.mark.parametrize("kind", ["bpe", "unigram"])
def test_a_model_keeps_its_normalization(tmp_path: Path, kind: str, options: dict[str, object], text: str) -> None:
    sentencepiece = pytest.importorskip("sentencepiece")
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(TEXTS), model_prefix=str(tmp_path / "m"), model_type=kind, vocab_size=400,
        hard_vocab_limit=False, num_threads=1, minloglevel=2, **options,
    )  # fmt: skip
    own = sentencepiece.SentencePieceProcessor(model_file=str(tmp_path / "m.model"))
    tokenizer = use_existing(str(tmp_path / "m.model"), "gpt2")
    for line in (text, "The brown fox", "", "jumping  over"):
        assert tokenizer.encode(line).tolist() == own.encode(line)
        assert tokenizer.decode(tokenizer.encode(line)) == own.decode(own.encode(line))


def test_the_stage_encodes_with_an_existing_tokenizer(
    tmp_path: Path, corpus: Path, tokenize: Callable[..., Built], ranks: Path, bpe: Tokenizer
) -> None:
    built = tokenize(corpus, tokenizer=str(ranks), split_pattern="gpt4")
    assert_same_ids(load_tokenizer(built.folder), bpe)
    assert TokenStore.open(built.folder, "train").vocab_size == bpe.vocab_size
    assert built.manifest.results["tokenizer"]["algorithm"] == "existing"
    assert built.manifest.results["tokenizer"]["lossless"] is True
    assert built.manifest.account.total.documents.kept == 120
    ranks.write_text(ranks.read_text() + f"{base64.b64encode(b'brand new').decode()} {bpe.eos_id}\n")
    with pytest.raises(InputError, match=r"input :tokenizer:mine\.tiktoken"):
        tokenize(corpus, tokenizer=str(ranks), split_pattern="gpt4")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.tiktoken", "AAAA", "a.tiktoken:1: not a token and its rank"),
        ("a.tiktoken", "IQ== 0\n", "no rank for the byte 0x00"),
        ("a.tiktoken", "!!!! 0\n", "not a token and its rank"),
        ("a.model", "", "no pieces"),
        ("a.model", "nonsense", "not a SentencePiece model"),
        ("tokenizer.json", '{"model": ', "not a tokenizer"),
        ("a.bin", "x", "not a tokenizer by its ending"),
        ("vocab.json", "{}", "no merges.txt"),
    ],
)
def test_a_damaged_file_is_a_clear_error(tmp_path: Path, name: str, content: str, message: str) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(InputError, match=message):
        use_existing(str(tmp_path / name), "gpt2")


def test_damaged_merges_and_missing_files_are_clear_errors(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        find_tokenizer_files(str(tmp_path / "absent.json"))
    with pytest.raises(InputError, match=r"no tokenizer\.json, and no vocab\.json"):
        find_tokenizer_files(str(tmp_path))
    (tmp_path / "vocab.json").write_text('{"a": 0}')
    (tmp_path / "merges.txt").write_text("a b\n")
    with pytest.raises(InputError, match="not a BPE tokenizer"):
        use_existing(str(tmp_path), "gpt2")


def test_a_truncated_model_is_a_clear_error(tmp_path: Path) -> None:
    pytest.importorskip("sentencepiece")
    path = tmp_path / "cut.model"
    path.write_bytes(train_sentencepiece("bpe", 400, False, [TEXTS])[:-10])
    with pytest.raises(InputError, match="cut short"):
        use_existing(str(path), "gpt2")


def test_a_hostile_highest_id_is_refused(tmp_path: Path, bpe: Tokenizer) -> None:
    value = json.loads(bpe._library.to_str())
    value["model"]["vocab"]["evil"] = 4_000_000_000
    (tmp_path / "tokenizer.json").write_text(json.dumps(value))
    with pytest.raises(InputError, match="highest id is 4,000,000,000"):
        use_existing(str(tmp_path), "gpt2")
