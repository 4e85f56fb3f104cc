from typing import Any

import pytest
from judging import judge

from llmforge.config.filters.prose import GopherQualitySection
from llmforge.core.errors import SettingsError
from llmforge.curate.filters.text_stats import TextStats


def limits(**changes: Any) -> GopherQualitySection:
    return GopherQualitySection(rule="gopher_quality", **changes)


def prose(num_words: int, *others: str) -> str:
    """A text of so many words, the two stop words and `others` among them, that breaks no rule by itself."""
    words = ["the", "and", *others]
    return " ".join([*words, *["word"] * (num_words - len(words))])


def verdict(text: str, **changes: Any) -> tuple[str, float, float] | None:
    found = judge(TextStats(text), limits(**changes))
    return None if found is None else (found.rule.removeprefix("gopher_quality."), found.value, found.limit)  # type: ignore[return-value]


# Of every condition: a text just at its limit, which stays, and one just past it, which goes.
AT_AND_PAST: list[tuple[str, str, str, float, float]] = [
    ("too_few_words", prose(50), prose(49), 49, 50),
    ("too_many_words", prose(100_000), prose(100_001), 100_001, 100_000),
    # 50 words: two of three letters, and 48 whose letters make the mean.
    ("words_too_short", "the and " + "abc " * 48, "the and " + "abc " * 47 + "ab", 2.98, 3),
    ("words_too_long", "the and " + "x" * 14 + " " + "abcdefghij " * 47, "the and " + "abcdefghijkl " * 48, 11.64, 10),
    ("too_many_hashes", prose(50, *["#tag"] * 5), prose(50, *["#tag"] * 6), 0.12, 0.1),
    ("too_many_ellipses", prose(50, *["so..."] * 5), prose(50, *["so\u2026"] * 6), 0.12, 0.1),
    (
        "too_many_bullet_lines",
        "- word\n" * 9 + prose(50),
        "- word\n" * 10 + "\u2022 word\n" * 9 + prose(50),
        0.95,
        0.9,
    ),
    (
        "too_many_ellipsis_lines",
        "here it goes on...\n" * 3 + "\n\n" + (prose(10) + "\n") * 7,
        "here it goes on. . .\n" * 4 + (prose(10) + "\n") * 6,
        0.4,
        0.3,
    ),
    ("too_few_alphabetic_words", prose(50, *["1,000"] * 10), prose(50, *["1,000"] * 11), 0.78, 0.8),
    ("too_few_stop_words", prose(50), "the " * 25 + "word " * 25, 1, 2),
]


@pytest.mark.parametrize(("condition", "at", "past", "value", "limit"), AT_AND_PAST)
def test_a_condition_allows_its_limit_and_drops_past_it(
    condition: str, at: str, past: str, value: float, limit: float
) -> None:
    assert verdict(at) is None
    found = verdict(past)
    assert found is not None
    assert found == (condition, pytest.approx(value, abs=0.005), limit)


def test_every_condition_of_the_settings_has_a_case() -> None:
    assert len(AT_AND_PAST) == len(GopherQualitySection.model_fields) - 1


@pytest.mark.parametrize("word", "the be to of and that have with".split())
def test_each_stop_word_counts_in_any_case_and_once(word: str) -> None:
    text = "word " * 60
    assert verdict(f"{word.upper()}, {word} {text}") == ("too_few_stop_words", 1, 2)
    other = "to" if word != "to" else "of"
    assert verdict(f"{word.upper()}, {other}. {text}") is None


def test_hashes_and_ellipses_are_not_added_up() -> None:
    assert verdict(prose(50, *["#a"] * 5, *["b..."] * 5)) is None


def test_letters_of_any_script_make_a_word_alphabetic() -> None:
    assert verdict("слово " * 60, min_stop_words=0) is None
    assert verdict("文字列の " * 60, min_stop_words=0) is None
    assert verdict("12345 " * 60, min_stop_words=0) == ("too_few_alphabetic_words", 0, 0.8)


def test_a_limit_of_the_settings_is_the_one_that_counts() -> None:
    assert verdict(prose(49), min_words=49) is None
    assert verdict(prose(50), min_words=51) == ("too_few_words", 50, 51)


def by_datatrove(text: str, **changes: Any) -> str | None:
    found = judge(TextStats(text), GopherQualitySection(rule="gopher_quality@datatrove", **changes))
    return None if found is None else found.rule.removeprefix("gopher_quality@datatrove.")  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("condition", "at", "past"),
    [
        ("too_few_words", prose(50), prose(49, "--", "&", "!")),
        ("too_few_words", prose(50), "word--word " * 24 + "the"),
        ("words_too_long", "the and " + "x" * 14 + " " + "abcdefghij " * 47, "the and " + "abcdefghijkl " * 48),
        ("too_many_hashes", prose(54, *["#a"] * 6), prose(54, *["#a"] * 7)),
        ("too_many_ellipses", prose(92, *["so\u2026"] * 10), prose(92, *["so\u2026"] * 12)),
        ("too_many_bullet_lines", "- word\n" * 9 + prose(50), "- word\n" * 10 + "\u2022 word\n" * 9 + prose(50)),
        ("too_many_ellipsis_lines", "it goes on...\n" * 3 + "\n" + (prose(9) + "\n") * 6, "on...\n\n" * 4 + prose(60)),
        # 50 words with a letter and 12 marks; one mark more is too much.
        ("too_few_alphabetic_words", prose(50, *["a,"] * 12), prose(50, *["a,"] * 13)),
        ("too_few_stop_words", prose(50), "The and " + "word " * 50),
    ],
)
def test_datatrove_counts_marks_as_words_without_a_letter(condition: str, at: str, past: str) -> None:
    assert by_datatrove(at) is None
    assert by_datatrove(past) == condition


def test_what_datatrove_does_not_count_stays() -> None:
    assert by_datatrove("* word\n" * 30 + prose(50)) == "too_few_alphabetic_words"
    assert by_datatrove("* word and word and more of it\n" * 30 + prose(50)) is None
    assert verdict("* word and word and more of it\n" * 30) is not None
    assert by_datatrove("", min_words=0, min_mean_word_length=0.0, min_alphabetic_words=0.0, min_stop_words=0) is None


def test_an_empty_text_is_no_division_by_zero() -> None:
    assert verdict("", min_words=0) == ("words_too_short", 0, 3)
    assert verdict("", min_words=0, min_mean_word_length=0.0, min_alphabetic_words=0.0, min_stop_words=0) is None


@pytest.mark.timeout(20)
def test_a_long_text_without_a_letter_takes_no_time() -> None:
    assert verdict("." * 3_000_000 + " " + prose(60), max_mean_word_length=1e9) == (
        "too_many_ellipses",
        pytest.approx(1_000_000 / 61),
        0.1,
    )


@pytest.mark.parametrize(
    ("filters", "message"),
    [
        ("[gopher_qualty]", "gopher_quality"),
        ("[{rule: gopher_quality, min_word: 5}]", "did you mean `min_words`"),
        ("[{rule: gopher_quality, min_words: -5}]", "min_words"),
        ("[{rule: gopher_quality, max_hash_ratio: .nan}]", "max_hash_ratio"),
    ],
)
def test_an_unknown_rule_or_limit_is_an_error_of_the_settings(filters: str, message: str) -> None:
    from llmforge.config.load import load_settings

    with pytest.raises(SettingsError) as error:
        load_settings(None, [f"curate.filters={filters}"])
    assert message in str(error.value)
