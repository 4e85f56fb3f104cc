"""Gopher's repetition filters: the published limits, and values worked out by hand from the definitions."""

import pytest

from llmforge.config.filters.prose import GopherRepetitionSection
from llmforge.curate.filters.gopher_repetition import measure_later_copies, measure_literally
from llmforge.curate.filters.text_stats import TextStats

# Rae et al. 2021, table A1.
TABLE_A1 = {
    "duplicate_lines": 0.30,
    "duplicate_paragraphs": 0.30,
    "duplicate_line_chars": 0.20,
    "duplicate_paragraph_chars": 0.20,
    "top_2gram": 0.20,
    "top_3gram": 0.18,
    "top_4gram": 0.16,
    "duplicate_5gram": 0.15,
    "duplicate_6gram": 0.14,
    "duplicate_7gram": 0.13,
    "duplicate_8gram": 0.12,
    "duplicate_9gram": 0.11,
    "duplicate_10gram": 0.10,
}


def test_limits_are_those_of_the_paper():
    limits = GopherRepetitionSection(rule="gopher_repetition@dclm").model_dump(exclude={"rule"})
    assert {name.removeprefix("max_"): limit for name, limit in limits.items()} == TABLE_A1


def test_lines_and_top_ngrams_by_hand():
    stats = TextStats("a b\na b\ncc dd\n")
    literal = dict(measure_literally(stats))
    assert literal["duplicate_lines"] == pytest.approx(2 / 3)
    assert literal["duplicate_line_chars"] == pytest.approx(6 / 11)
    assert literal["top_2gram"] == pytest.approx(4 / 8)
    assert literal["top_3gram"] == 0
    later = dict(measure_later_copies(stats))
    assert later["duplicate_lines"] == pytest.approx(1 / 4)  # the empty piece after the last newline counts
    assert later["duplicate_line_chars"] == pytest.approx(3 / 14)
    assert later["top_2gram"] == pytest.approx(6 / 14)
    assert later["top_3gram"] == pytest.approx(5 / 14)


def test_duplicate_ngrams_by_hand():
    stats = TextStats("one two three four five, one two three four five six")
    literal = dict(measure_literally(stats))
    assert literal["top_4gram"] == pytest.approx(2 * 16 / 41)  # "two three four five" is the longer of two
    assert literal["duplicate_5gram"] == pytest.approx(38 / 41)
    assert literal["duplicate_6gram"] == 0
    later = dict(measure_later_copies(stats))
    assert later["top_4gram"] == pytest.approx(2 * 18 / 52)  # "one two three four" comes first
    assert later["duplicate_5gram"] == pytest.approx(19 / 52)
    assert later["duplicate_6gram"] == 0


def test_paragraphs_by_hand():
    stats = TextStats("aa\n\nbbb\n\naa\n\ncccc")
    literal = dict(measure_literally(stats))
    assert literal["duplicate_paragraphs"] == pytest.approx(2 / 4)
    assert literal["duplicate_paragraph_chars"] == pytest.approx(4 / 11)
    later = dict(measure_later_copies(stats))
    assert later["duplicate_paragraphs"] == pytest.approx(1 / 4)
    assert later["duplicate_paragraph_chars"] == pytest.approx(2 / 17)
