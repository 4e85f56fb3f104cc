"""FineWeb's filters: both variants at, below and above each limit, with the published operators."""

import pytest
from curating import PROSE
from judging import judge

from llmforge.config.filters.prose import FinewebCodeSection, FinewebPaperSection
from llmforge.curate.filters.text_stats import TextStats
from llmforge.curate.readers.items import Verdict

CODE, PAPER = FinewebCodeSection(rule="fineweb@code"), FinewebPaperSection(rule="fineweb@paper")


def broken(text: str, limits: FinewebCodeSection | FinewebPaperSection) -> str | None:
    verdict = judge(TextStats(text), limits)
    return verdict.rule.partition(".")[2] if verdict else None


def page(punctuated: int, bare: int, short: int = 0) -> str:
    """Different lines of 40 characters, with and without a full stop, and of 30 characters with one."""
    lines = [f"line {number:03} has several words and".ljust(39, "x") + "." for number in range(punctuated)]
    lines += [f"row {number:03} has several words and".ljust(40, "x") for number in range(bare)]
    return "\n".join([*lines, *(f"short line {number:03} of words".ljust(29, "x") + "." for number in range(short))])


def test_the_lines_of_these_tests_are_as_long_as_they_say():
    lines = page(1, 1, 1).split("\n")
    assert [len(line) for line in lines] == [40, 40, 30]


@pytest.mark.parametrize("limits", [CODE, PAPER], ids=["code", "paper"])
def test_prose_is_kept(limits):
    assert judge(TextStats(PROSE), limits) is None


@pytest.mark.parametrize(
    ("punctuated", "bare", "by_code", "by_paper"),
    [
        (13, 87, None, None),
        (12, 88, None, "too_few_punctuated_lines"),
        (11, 89, "too_few_punctuated_lines", "too_few_punctuated_lines"),
    ],
)
def test_punctuated_lines(punctuated, bare, by_code, by_paper):
    assert broken(page(punctuated, bare), CODE) == by_code
    assert broken(page(punctuated, bare), PAPER) == by_paper


@pytest.mark.parametrize(
    ("short", "by_code", "by_paper"),
    [
        (66, None, None),
        (67, None, "too_many_short_lines"),
        (68, "too_many_short_lines", "too_many_short_lines"),
    ],
)
def test_short_lines(short, by_code, by_paper):
    assert broken(page(100 - short, 0, short), CODE) == by_code
    assert broken(page(100 - short, 0, short), PAPER) == by_paper


@pytest.mark.parametrize(
    ("copies", "others", "by_code", "by_paper"),
    [
        (1, 100, None, None),  # 40 of 4040 characters: 0.0099
        (1, 99, None, None),  # 0.01
        (1, 98, "duplicate_line_chars", None),
        (11, 100, "duplicate_line_chars", None),  # 0.0991
        (10, 90, "duplicate_line_chars", "duplicate_line_chars"),  # 0.1
    ],
)
def test_characters_in_copies_of_lines(copies, others, by_code, by_paper):
    lines = page(others, 0)
    text = "\n".join([lines, *[lines.split("\n")[0]] * copies])
    assert broken(text, CODE) == by_code
    assert broken(text, PAPER) == by_paper


def test_line_ends_a_word_are_counted_by_the_code_alone():
    word = "extraordinarilylongwordforthistest"
    at = "\n".join([f"{word}a b c {number:03}." for number in range(3)]) + "\n" * 4
    tokens = 3 * 5
    assert at.count("\n") / tokens == 0.4
    assert judge(TextStats(at), CODE) == Verdict("fineweb@code.too_many_line_ends", 0.4, 0.3)
    assert judge(TextStats(at), CODE.model_copy(update={"max_line_ends_per_word": 0.4})) is None
    assert judge(TextStats(at), PAPER) is None


def test_a_line_of_31_characters_is_not_short():
    text = page(0, 0, 10)
    assert broken(text, CODE) == "too_many_short_lines"
    assert broken(text.replace("short", "shortx"), CODE) is None


def test_space_after_the_full_stop_hides_it_from_the_code():
    text = page(10, 0).replace(".", ". ")
    assert broken(text, CODE) == "too_few_punctuated_lines"
    assert broken(text, PAPER) is None


@pytest.mark.parametrize("limits", [CODE, PAPER], ids=["code", "paper"])
@pytest.mark.parametrize("text", ["\n", " \n\n "])
def test_a_text_without_a_line_is_dropped(text, limits):
    assert judge(TextStats(text), limits) == Verdict(f"{limits.rule}.no_line", 0, 1)
