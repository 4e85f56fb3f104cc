"""Pieces of a text: every byte shown once, characters where they are complete."""

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmforge.config.tokenize import TokenizeSection
from llmforge.core.errors import InputError
from llmforge.pipeline.build import Built
from llmforge.tokenize.algorithms import train
from llmforge.tokenize.inspection import find_tokenizer, first_tokens, is_run, pieces
from llmforge.tokenize.tokenizer import EOS_TOKEN, Tokenizer


@pytest.fixture(scope="module")
def bpe() -> Tokenizer:
    section = TokenizeSection.model_validate({"vocab_size": 280, "min_frequency": 1})
    return Tokenizer(train(section, [["the river runs past the mills " * 9]]), EOS_TOKEN)


def test_a_character_stands_at_the_last_of_its_bytes(bpe: Tokenizer) -> None:
    found = pieces(bpe, bpe.encode("a🙂").tolist())
    assert [one.bytes for one in found] == [b"a", b"\xf0", b"\x9f", b"\x99", b"\x82"]
    assert [one.text for one in found] == ["a", "", "", "", "🙂"]
    cut = pieces(bpe, bpe.encode("a🙂").tolist()[:3])
    assert cut[-1].text == "\ufffd"


@given(st.text())
def test_pieces_put_together_are_the_text(bpe: Tokenizer, text: str) -> None:
    found = pieces(bpe, bpe.encode(text).tolist())
    assert b"".join(one.bytes for one in found) == text.encode()
    assert "".join(one.text for one in found) == text


def test_tokens_without_bytes_show_their_spelling(bpe: Tokenizer) -> None:
    (end,) = pieces(bpe, [bpe.eos_id])
    assert (end.bytes, end.text) == (b"", EOS_TOKEN)
    section = TokenizeSection.model_validate({"algorithm": "word_space", "vocab_size": 257, "min_frequency": 1})
    words = Tokenizer(train(section, [["known words"]]), EOS_TOKEN)
    assert [(one.bytes, one.text) for one in pieces(words, words.encode("known other").tolist())] == [
        (b"known", "known"),
        (b"", "[UNK]"),
    ]


def test_a_tokenizer_is_found_in_a_run_a_folder_or_a_file(
    tmp_path: Path, corpus: Path, tokenize: Callable[..., Built]
) -> None:
    folder = tokenize(corpus).folder
    found = [find_tokenizer(path) for path in (folder.parent, folder, folder / "tokenizer.json")]
    assert len({tokenizer.to_json() for tokenizer in found}) == 1
    assert is_run(folder.parent)
    assert not is_run(tmp_path)
    assert len(first_tokens(folder.parent, 7)) == 7
    with pytest.raises(InputError, match="no such run or tokenizer"):
        find_tokenizer(tmp_path / "absent")
