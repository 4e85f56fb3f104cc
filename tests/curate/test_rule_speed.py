"""What makes rules fast changes no value: each against its definition written out."""

import re
from collections import Counter

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from judging import values

from llmforge.config.filters.code import StackV1Section
from llmforge.config.filters.prose import C4CodeSection, GopherQualitySection
from llmforge.curate.filters.c4 import count_sentences
from llmforge.curate.filters.gopher_repetition import measure_later_copies, measure_literally
from llmforge.curate.filters.text_stats import TextStats

WORDS = st.lists(
    st.sampled_from(["a", "bb", "a.b", "don't", "_x", "The", "of", "...", ". . .", "\u2026", "1,0", "z\u00b2"])
)
TEXTS = st.one_of(st.text(max_size=80), WORDS.map(" ".join), st.text(alphabet="ab.?! \n'\"_#", max_size=80))


@given(TEXTS)
def test_words_are_those_of_the_pattern_over_the_whole_text_and_tokens_lose_nothing(text):
    stats = TextStats(text)
    assert stats.plain_words == re.findall(r"\w+(?:['\u2019.]\w+)*", text)
    assert "".join(stats.tokens) == "".join(text.split())
    assert "" not in stats.tokens


def test_tokens_are_cut_nearly_as_spacy_cuts_them():
    text = "So it's {{site.url}}/a-b, (well-known): don't pay 3,000... or --- [x](http://a.b/c?d=1)!"
    expected = (
        "So it 's { { site.url}}/a - b , ( well - known ) : do n't pay 3,000 ... or --- [ x](http://a.b / c?d=1 ) !"
    )
    assert TextStats(text).tokens == expected.split()


@given(TEXTS)
@example("x\u00b2 \u00b2 \u00bd \u2167 a1 \u0661")
def test_quality_is_as_its_definition(text):
    found = values(TextStats(text), GopherQualitySection(rule="gopher_quality"))
    words = text.split()
    num_words = max(len(words), 1)
    assert found["too_many_ellipses"] == len(re.findall(r"\.\.\.|\. \. \.|\u2026", text)) / num_words
    assert found["too_few_alphabetic_words"] == sum(any(map(str.isalpha, word)) for word in words) / num_words
    stop_words = re.findall(r"\b(the|be|to|of|and|that|have|with)\b", text.lower())
    assert found["too_few_stop_words"] == len(set(stop_words))


@given(TEXTS)
def test_sentences_are_as_their_definition(line):
    marks = re.compile(r"(?<!\bMr)(?<!\bMrs)(?<!\bMs)(?<!\bDr)(?<!\bSt)[.?!]+[\"')\]\u2019\u201d]*(?=\s+[^a-z\s]|\s*$)")
    assert count_sentences(line) == max(len(marks.findall(line)), 1)


def grams_of(words: list[str], size: int) -> list[tuple[str, ...]]:
    return [tuple(words[start : start + size]) for start in range(len(words) - size + 1)]


def later_chars(words: list[str], size: int) -> int:
    """Characters of n-grams seen before, jumping over each, as datatrove goes."""
    seen: set[tuple[str, ...]] = set()
    start = num_chars = 0
    while start <= len(words) - size:
        gram = tuple(words[start : start + size])
        num_chars += sum(map(len, gram)) if gram in seen else 0
        start += size if gram in seen else 1
        seen.add(gram)
    return num_chars


def covered_chars(words: list[str], size: int) -> int:
    """Characters of the words that are part of an n-gram which occurs more than once."""
    counts = Counter(grams_of(words, size))
    covered = {
        place
        for start, gram in enumerate(grams_of(words, size))
        if counts[gram] > 1
        for place in range(start, start + size)
    }
    return sum(len(words[place]) for place in covered)


REPEATING = st.lists(st.sampled_from(["a", "bb", "ccc", "d"]), max_size=60).map(" ".join)


@given(st.one_of(REPEATING, TEXTS))
def test_later_copies_are_as_their_definition(text):
    stats = TextStats(text)
    found = dict(measure_later_copies(stats))
    num_chars = max(len(text), 1)
    for size in (2, 3, 4):
        counts = Counter(grams_of(stats.tokens, size))
        gram, count = counts.most_common(1)[0] if counts else ((), 0)
        assert found[f"top_{size}gram"] == len(" ".join(gram)) * count / num_chars
    for size in range(5, 11):
        assert found[f"duplicate_{size}gram"] == later_chars(stats.tokens, size) / num_chars


@given(st.one_of(REPEATING, TEXTS))
def test_literal_repetition_is_as_its_definition(text):
    stats = TextStats(text)
    found = dict(measure_literally(stats))
    words = stats.plain_words
    num_chars = max(sum(map(len, words)), 1)
    for size in (2, 3, 4):
        counts = Counter(grams_of(words, size))
        most = max(counts.values(), default=0)
        longest = max((sum(map(len, gram)) for gram, count in counts.items() if count == most), default=0)
        assert found[f"top_{size}gram"] == (most * longest / num_chars if most > 1 else 0)
    for size in range(5, 11):
        assert found[f"duplicate_{size}gram"] == covered_chars(words, size) / num_chars


@pytest.mark.timeout(30)
@pytest.mark.parametrize(
    ("limits", "text"),
    [
        (StackV1Section(rule="stack@v1"), "<" * 300_000),
        (C4CodeSection(rule="c4@code"), "a b c d " + "." * 300_000 + "x ends here."),
    ],
)
def test_hostile_texts_take_no_time(limits, text):
    assert values(TextStats(text, meta={"language": "HTML"}), limits)
