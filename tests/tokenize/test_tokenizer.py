"""Tokenizers: exact round trips, special tokens as text, equal bytes in every process, damaged files."""

from pathlib import Path

import numpy as np
import pytest
import tokenizers
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import models

from llmforge.config.tokenize import TokenizeSection
from llmforge.core.errors import InputError
from llmforge.tokenize.algorithms import train
from llmforge.tokenize.patterns import SPLIT_PATTERNS
from llmforge.tokenize.tokenizer import EOS_TOKEN, Tokenizer, explained_panics, load_tokenizer
from llmforge.tokenize.training import slice_text

TEXT = [
    "The quick brown fox isn't jumping over 12345 lazy dogs, naïve café 東京 😀 again and again.\n\n  def f(x):\n"
] * 20

HARD = [
    "", " ", "\n", "\r\n", "\t\t", "a\0b", "\x01\x7f\x80\x9f", "\ufeffBOM", "\ufffd", "\uffff", "\U0010ffff",
    "😀👨‍👩‍👧‍👦🏳️‍🌈🇩🇪", "e\u0301 vs é", "ﬁ ﬂ Ⅷ ½ ² ㎏", "שלום עליכם", "مرحبا بالعالم", "نَصٌّ", "हिन्दी ज़्यादा", "ภาษาไทย",
    "日本語と漢字", "한국어", "Z͑ͫ̓ͪ̂ͫ̽͏̴̙̤̞͉͚̯̞̠͍A̴̵̜̰͔ͫ͗͢", "\u200b\u200d\u2060", "\u202eRTL\u202c", "\u2028\u2029\x85", "\u00a0\u3000\u2003",
    "don't DON'T we'll they'd", "x" * 5000, " " * 3000, "\n \n  \n", "12 345 678,90", "<s></s>[UNK][CLS]<|im_start|>",
    EOS_TOKEN, f"{EOS_TOKEN}{EOS_TOKEN} {EOS_TOKEN}\n", "<0x41><unk>▁Ġ Ċ", "##ing ▁the", "𝕳𝖊𝖑𝖑𝖔 𐍈 𒀀",
]  # fmt: skip


def trained(split_pattern: str = "gpt2", vocab_size: int = 320) -> Tokenizer:
    section = TokenizeSection.model_validate({"split_pattern": split_pattern, "vocab_size": vocab_size})
    return Tokenizer(train(section, [TEXT]), EOS_TOKEN)


TOKENIZERS = {name: trained(name) for name in SPLIT_PATTERNS}


@pytest.mark.parametrize("pattern", SPLIT_PATTERNS)
@pytest.mark.parametrize("text", HARD, ids=range(len(HARD)))
def test_hard_strings_round_trip(pattern: str, text: str) -> None:
    tokenizer = TOKENIZERS[pattern]
    ids = tokenizer.encode(text)
    assert tokenizer.decode(ids) == text
    assert tokenizer.eos_id not in ids
    pieces = tokenizer.token_bytes()
    assert b"".join(pieces[token] for token in ids) == text.encode()


@pytest.mark.parametrize("pattern", SPLIT_PATTERNS)
@given(text=st.text(max_size=200))
@settings(max_examples=150)
def test_every_string_round_trips(pattern: str, text: str) -> None:
    tokenizer = TOKENIZERS[pattern]
    assert tokenizer.decode(tokenizer.encode(text)) == text


@pytest.mark.parametrize(
    ("pattern", "text", "pieces"),
    [
        ("gpt2", "It's 1234567 km", ["It", "'s", "Ġ1234567", "Ġkm"]),
        ("gpt4", "IT'S 1234567 km", ["IT", "'S", "Ġ", "123", "456", "7", "Ġkm"]),
        ("llama3", "IT'S 1234567 km", ["IT", "'S", "Ġ", "123", "456", "7", "Ġkm"]),
        ("gpt4", "end \n ", ["end", "ĠĊĠ"]),
        ("llama3", "end \n ", ["end", "ĠĊ", "Ġ"]),
    ],
)
def test_patterns_split_as_published(pattern: str, text: str, pieces: list[str]) -> None:
    splitter = TOKENIZERS[pattern]._library.pre_tokenizer
    assert [piece for piece, _ in splitter.pre_tokenize_str(text)] == pieces


def test_all_bytes_are_in_the_vocabulary_and_the_end_token_is_last() -> None:
    tokenizer = TOKENIZERS["gpt2"]
    pieces = tokenizer.token_bytes()
    assert {bytes([byte]) for byte in range(256)} <= set(pieces)
    assert tokenizer.eos_id == tokenizer.vocab_size - 1 == 319
    assert pieces[tokenizer.eos_id] == b""
    assert tokenizer.decode([tokenizer.eos_id]) == EOS_TOKEN


def test_a_batch_gives_the_ids_of_its_texts() -> None:
    tokenizer = TOKENIZERS["gpt2"]
    batch = tokenizer.encode_batch(HARD)
    assert all(np.array_equal(ids, tokenizer.encode(text)) for ids, text in zip(batch, HARD, strict=True))


def test_a_lone_surrogate_is_a_clear_error() -> None:
    with pytest.raises(InputError, match=r"lone surrogate U\+D800 at character 2"):
        TOKENIZERS["gpt2"].encode("ab\ud800")


def test_saved_and_loaded_tokenizers_agree(tmp_path: Path) -> None:
    tokenizer = TOKENIZERS["llama3"]
    tokenizer.save(tmp_path / "tokenizer.json", tmp_path / "tokenizer_config.json")
    loaded = load_tokenizer(tmp_path)
    assert (loaded.vocab_size, loaded.eos_id, loaded.eos_token) == (320, 319, EOS_TOKEN)
    assert all(np.array_equal(loaded.encode(text), tokenizer.encode(text)) for text in HARD)


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", '{"model": {"type": "BPE"}}', "null", "\udcff"])
def test_a_damaged_tokenizer_is_a_clear_error(tmp_path: Path, content: str) -> None:
    (tmp_path / "tokenizer_config.json").write_text(f'{{"eos_token": "{EOS_TOKEN}"}}')
    (tmp_path / "tokenizer.json").write_text(content, errors="surrogateescape")
    with pytest.raises(InputError, match="not a tokenizer"):
        load_tokenizer(tmp_path)


def test_a_truncated_tokenizer_is_a_clear_error(tmp_path: Path) -> None:
    path = tmp_path / "tokenizer.json"
    TOKENIZERS["gpt2"].save(path, tmp_path / "tokenizer_config.json")
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(InputError, match="not a tokenizer"):
        load_tokenizer(tmp_path)


def test_a_missing_tokenizer_or_end_token_is_a_clear_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        load_tokenizer(tmp_path)
    path, config = tmp_path / "tokenizer.json", tmp_path / "tokenizer_config.json"
    TOKENIZERS["gpt2"].save(path, config)
    config.write_text('{"eos_token": "</s>"}')
    with pytest.raises(InputError, match="has no token '</s>'"):
        load_tokenizer(tmp_path)
    path.unlink()
    with pytest.raises(InputError, match=r"tokenizer\.json: no such file"):
        load_tokenizer(tmp_path)


def test_a_panic_of_the_library_becomes_an_error() -> None:
    panic = type("PanicException", (BaseException,), {})

    def fail(error: BaseException) -> None:
        with explained_panics("encoding"):
            raise error

    with pytest.raises(InputError, match="encoding: the tokenizers library gave up"):
        fail(panic("stack overflow"))
    with pytest.raises(KeyboardInterrupt):
        fail(KeyboardInterrupt())


@given(text=st.text(alphabet="ab \n", max_size=80), limit=st.integers(1, 20))
def test_slices_join_to_the_text_and_are_short(text: str, limit: int) -> None:
    slices = slice_text(text, limit)
    assert "".join(slices) == text
    assert all(len(piece) <= limit for piece in slices)


def test_slices_end_before_a_blank() -> None:
    assert slice_text("aaa bbb ccc", 8) == ["aaa bbb", " ccc"]
    assert slice_text("x" * 20, 8) == ["x" * 8, "x" * 8, "xxxx"]


def test_merges_that_a_file_wants_left_out_by_chance_are_all_taken() -> None:
    library = tokenizers.Tokenizer(models.BPE({"a": 0, "b": 1, "ab": 2, EOS_TOKEN: 3}, [("a", "b")], dropout=0.5))
    library.add_special_tokens([EOS_TOKEN])
    tokenizer = Tokenizer(library, EOS_TOKEN)
    assert {tuple(tokenizer.encode("ab").tolist()) for _ in range(50)} == {(2,)}
