"""Gopher's repetition filters: each limit from both sides, in both variants, and where the variants part."""

import pytest
from curating import PROSE
from judging import judge

from llmforge.config.filters.prose import GopherRepetitionSection
from llmforge.curate.filters.gopher_repetition import measure_later_copies, measure_literally
from llmforge.curate.filters.text_stats import TextStats
from llmforge.curate.readers.items import Verdict

VARIANTS = {"gopher_repetition@dclm": measure_literally, "gopher_repetition@datatrove": measure_later_copies}
MEASURES = [name.removeprefix("max_") for name in GopherRepetitionSection.model_fields if name.startswith("max_")]
PASSAGE = "the keeper of the tower lit the lamp at dusk and wrote the hour into a long book"
REPEATING = f"{PASSAGE}\n\n{PASSAGE}\n\nNobody came that night.\nNobody came at all.\nThe sea was calm"
LOOSE = {f"max_{name}": 1.0 for name in MEASURES}


def words(count: int) -> str:
    """Different words of five letters each."""
    return " ".join(f"w{number:04}" for number in range(count))


@pytest.mark.parametrize("rule", VARIANTS)
def test_prose_is_kept(rule):
    assert judge(TextStats(PROSE), GopherRepetitionSection(rule=rule)) is None


@pytest.mark.parametrize("rule", VARIANTS)
@pytest.mark.parametrize("measure", MEASURES)
def test_a_value_at_its_limit_stays_and_one_past_it_goes(rule, measure):
    value = dict(VARIANTS[rule](TextStats(REPEATING)))[measure]
    assert 0 < value < 1
    at = GopherRepetitionSection(rule=rule, **{**LOOSE, f"max_{measure}": value})
    assert judge(TextStats(REPEATING), at) is None
    limit = value * 0.999
    past = GopherRepetitionSection(rule=rule, **{**LOOSE, f"max_{measure}": limit})
    assert judge(TextStats(REPEATING), past) == Verdict(f"{rule}.{measure}", round(value, 6), limit)


def test_three_lines_of_ten_are_allowed_and_four_are_too_many():
    different = ["a line of its own, number " + "i" * place for place in range(7)]
    limits = GopherRepetitionSection(rule="gopher_repetition@dclm", **{**LOOSE, "max_duplicate_lines": 0.30})
    assert judge(TextStats("\n".join([*different, "x", "x", "x"])), limits) is None
    four = judge(TextStats("\n".join([*different[1:], "x", "x", "x", "x"])), limits)
    assert four == Verdict("gopher_repetition@dclm.duplicate_lines", 0.4, 0.30)


def test_a_passage_that_occurs_twice_divides_the_variants():
    passage, rest = words(20), " ".join(f"r{number:04}" for number in range(200))
    text = f"{passage} {rest} {passage}"
    verdict = judge(TextStats(text), GopherRepetitionSection(rule="gopher_repetition@dclm"))
    assert verdict == Verdict("gopher_repetition@dclm.duplicate_5gram", round(40 / 240, 6), 0.15)
    assert judge(TextStats(text), GopherRepetitionSection(rule="gopher_repetition@datatrove")) is None


def test_a_short_text_without_repetition_divides_the_variants():
    text = "one two three four five six seven"
    assert judge(TextStats(text), GopherRepetitionSection(rule="gopher_repetition@dclm")) is None
    verdict = judge(TextStats(text), GopherRepetitionSection(rule="gopher_repetition@datatrove"))
    assert verdict == Verdict("gopher_repetition@datatrove.top_2gram", round(7 / 33, 6), 0.20)


@pytest.mark.parametrize("rule", VARIANTS)
@pytest.mark.parametrize("text", ["", "\n\n\n", "word", "?!", "\x00"])
def test_texts_with_nothing_to_repeat_have_values(rule, text):
    values = dict(VARIANTS[rule](TextStats(text)))
    assert set(values) == set(MEASURES)
    assert all(value >= 0 for value in values.values())


def test_the_rule_runs_in_the_stage_under_its_full_name(tmp_path, curate):
    source = tmp_path / "source.jsonl"
    source.write_text('{"text": "same line\\nsame line\\nsame line"}\n{"text": "' + PROSE + '"}\n')
    result = curate(source, settings={"filters": ("gopher_quality", "gopher_repetition@dclm")})
    assert result.texts == [PROSE]
    assert result.rules == {"gopher_quality.too_few_words": 1}
    result = curate(source, settings={"filters": ("gopher_repetition@dclm",)})
    assert result.rules == {"gopher_repetition@dclm.duplicate_lines": 1}
    assert result.manifest.counts["judged"] == {"gopher_repetition@dclm": {"s0": 2}}
