import re
import unicodedata

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmforge.dedup import words as module
from llmforge.dedup.shingles import shingle
from llmforge.dedup.words import hash_words

PIECES = st.sampled_from(
    ["word", "Word", "two", "7", "8", " ", "  ", "\n", ", ", "-", "é", "ß", "漢", "字", "ก", "़", "𝐱", "😀"]
)


def plain_words(text: str) -> list[str]:
    """Words by the definition, one character at a time."""
    found, word = [], ""
    for char in [*text, " "]:
        alone = "\u4e00" <= char <= "\u9fff" or "\u0e00" <= char <= "\u0eff"
        is_part = unicodedata.category(char)[0] in "LMN" and ord(char) < 0x20000
        if word and (alone or not is_part):
            found.append(word)
            word = ""
        if alone:
            found.append(char)
        elif is_part:
            word += char.lower()
    return found


def plain_shingles(text: str, size: int) -> list[tuple[str, ...]]:
    words = plain_words(text)
    if len(words) < size:
        return [tuple(words)] if words else []
    return [tuple(words[place : place + size]) for place in range(len(words) - size + 1)]


@given(texts=st.lists(st.lists(PIECES, max_size=30).map("".join), max_size=8), size=st.integers(1, 6))
def test_hashes_are_equal_where_the_words_are(texts: list[str], size: int) -> None:
    found = shingle(texts, size)
    plain = [plain_shingles(text, size) for text in texts]
    assert np.diff(found.bounds).tolist() == [len(runs) for runs in plain]
    by_words: dict[tuple[str, ...], int] = {}
    for words, value in zip([run for runs in plain for run in runs], found.hashes.tolist(), strict=True):
        assert by_words.setdefault(words, value) == value
    assert len(set(by_words.values())) == len(by_words)


def test_case_punctuation_and_line_ends_do_not_matter() -> None:
    found = shingle(["The quick (brown) fox, jumps.", "the QUICK brown\nfox jumps"], 3)
    assert found.unique(0).tolist() == found.unique(1).tolist()
    assert len(found.unique(0)) == 3


def test_digits_matter() -> None:
    found = shingle(["in 1998 it cost 20", "in 1999 it cost 20"], 3)
    assert len(np.intersect1d(found.unique(0), found.unique(1))) == 1


def test_scripts_without_spaces_are_split_by_character() -> None:
    assert np.diff(hash_words(["我喜欢读书", "สวัสดี", "Tokyo東京2020", "한국어 문장"])[1]).tolist() == [5, 6, 4, 2]


def test_marks_belong_to_their_word() -> None:
    assert np.diff(hash_words(["हिन्दी भाषा"])[1]).tolist() == [2]


def test_a_text_shorter_than_a_shingle_is_one_shingle_of_its_words() -> None:
    found = shingle(["one two", "one", "", "!!", "one two"], 5)
    assert np.diff(found.bounds).tolist() == [1, 1, 0, 0, 1]
    assert found.unique(0).tolist() == found.unique(4).tolist() != found.unique(1).tolist()


def test_a_text_over_many_blocks_gives_the_same_words(monkeypatch: pytest.MonkeyPatch) -> None:
    text = " ".join(f"word{number}" for number in range(5000))
    whole = hash_words([text, "after"])
    monkeypatch.setattr(module, "BLOCK_CHARS", 1000)
    pieces = hash_words([text, "after"])
    assert pieces[0].tolist() == whole[0].tolist()
    assert pieces[1].tolist() == whole[1].tolist() == [0, 5000, 5001]


def test_a_word_longer_than_a_block_is_cut_and_survived(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "BLOCK_CHARS", 100)
    assert np.diff(hash_words(["x" * 1000])[1]).tolist() == [11]


def test_many_words_have_as_many_hashes() -> None:
    words = {f"{one}{two}" for one in "abcdefghij" for two in range(20_000)}
    hashes, _ = hash_words([" ".join(sorted(words))])
    assert len(hashes) == len(words) == len(np.unique(hashes))


def test_the_reference_in_this_file_reads_plain_text_like_a_regular_expression() -> None:
    text = "It's 10% of a_b, isn't it?"
    assert plain_words(text) == re.findall(r"[a-z0-9]+", text.lower())
