"""Recipes: what each holds, how settings change one, and that every rule of each can fire."""

from pathlib import Path
from typing import Any

import orjson
import pytest
from curating import PROSE

from llmforge.cli.init import find_configs
from llmforge.config.load import load_settings, to_yaml
from llmforge.config.recipes import find_recipes, read_recipe
from llmforge.config.schema import Settings, identity_settings
from llmforge.core.errors import SettingsError

RECIPES = {
    "gopher": ["gopher_quality", "gopher_repetition@dclm"],
    "c4": ["c4@code"],
    "fineweb": ["gopher_repetition@datatrove", "gopher_quality", "c4@paper", "fineweb@code"],
}


def load(tmp_path: Path, curate: str) -> Settings:
    file = tmp_path / "run.yaml"
    file.write_text(f"curate:\n{curate}")
    return load_settings(file).settings


def names(settings: Settings) -> list[str]:
    return [rule.rule for rule in settings.curate.rules]


def refusal(tmp_path: Path, curate: str) -> str:
    with pytest.raises(SettingsError) as caught:
        load(tmp_path, curate)
    return str(caught.value)


def test_the_recipes_that_the_settings_name_are_shipped_and_are_no_configs():
    assert sorted(find_recipes()) == sorted(RECIPES)
    assert not set(find_configs()) & set(RECIPES)
    description = Settings.model_fields["curate"].annotation.model_fields["recipe"].description
    assert f"({', '.join(RECIPES)})" in description


@pytest.mark.parametrize("recipe", RECIPES)
def test_a_recipe_is_its_rules_in_order(tmp_path, recipe):
    assert names(load(tmp_path, f"  recipe: {recipe}\n")) == RECIPES[recipe]


def test_without_a_recipe_gophers_quality_judges():
    assert names(Settings()) == ["gopher_quality"]


def test_the_recipe_of_fineweb_lets_lines_end_in_anything(tmp_path):
    c4 = load(tmp_path, "  recipe: fineweb\n").curate.rules[2]
    assert (c4.rule, c4.terminal_punctuation, c4.min_words_per_line, c4.min_sentences) == ("c4@paper", False, 3, 5)


def test_filters_replace_a_recipe(tmp_path):
    assert names(load(tmp_path, "  recipe: fineweb\n  filters: [c4@code]\n")) == ["c4@code"]
    assert names(load(tmp_path, "  recipe: fineweb\n  filters: []\n")) == []


def test_rules_are_dropped_from_a_recipe_and_added_to_it(tmp_path):
    settings = load(
        tmp_path,
        "  recipe: gopher\n"
        "  filters_drop: [gopher_repetition@dclm]\n"
        "  filters_add: [c4@code, {rule: gopher_repetition@dclm, max_top_2gram: 0.5}]\n",
    )
    assert names(settings) == ["gopher_quality", "c4@code", "gopher_repetition@dclm"]
    assert settings.curate.rules[2].max_top_2gram == 0.5


def test_resolved_settings_load_as_the_same_rules(tmp_path):
    settings = load(tmp_path, "  recipe: gopher\n  filters_drop: [gopher_quality]\n  filters_add: [c4@code]\n")
    again = tmp_path / "again.yaml"
    again.write_text(to_yaml(settings))
    assert load_settings(again).settings == settings


def test_what_a_recipe_holds_is_part_of_the_fingerprint(tmp_path):
    identity = identity_settings(load(tmp_path, "  recipe: gopher\n").curate)
    assert identity["filters"] == [{"rule": "gopher_quality"}, {"rule": "gopher_repetition@dclm"}]


def test_an_unknown_recipe_is_refused_with_the_nearest(tmp_path):
    text = refusal(tmp_path, "  recipe: finewep\n")
    assert "run.yaml:2:3: `curate.recipe` does not fit; got 'finewep', allowed 'c4', 'fineweb', 'gopher'" in text
    assert "did you mean `fineweb`?" in text


def test_a_recipe_that_is_no_name_is_refused(tmp_path):
    assert "`curate.recipe` does not fit; got ['c4']" in refusal(tmp_path, "  recipe: [c4]\n")


def test_dropping_a_rule_that_is_not_listed_is_refused(tmp_path):
    text = refusal(tmp_path, "  recipe: gopher\n  filters_drop: [gopher_repetition]\n")
    assert "run.yaml:3:18: no rule 'gopher_repetition' is in the list; there are gopher_quality, gopher_rep" in text
    assert "did you mean `gopher_repetition@dclm`?" in text


def test_a_rule_that_stands_twice_is_refused(tmp_path):
    text = refusal(tmp_path, "  recipe: c4\n  filters_add: [c4@code]\n")
    assert "the rule 'c4@code' stands in the list twice" in text
    assert "put c4@code into filters_drop" in text


@pytest.mark.parametrize("recipe", RECIPES)
def test_every_rule_of_a_recipe_can_fire(tmp_path, curate, recipe):
    sentences = [f"The {place} of the river is {word}, and nobody has {deed} it." for place, word, deed in WORDS]
    good = "\n".join([PROSE, *sentences])
    bad: dict[str, Any] = {
        "gopher_quality": "Short.",
        "gopher_repetition": "\n".join(["The same line again and again."] * 20),
        "c4": PROSE + "\nThe code is { and no more of it.",
        "fineweb": "\n".join([*sentences, *sentences, PROSE]),
    }
    rules = tuple(read_recipe(recipe))
    for rule in RECIPES[recipe]:
        file = tmp_path / f"{rule}.jsonl"
        file.write_bytes(b"\n".join(orjson.dumps({"text": text}) for text in (good, bad[rule.split("@")[0]])))
        others = [name for name in RECIPES[recipe] if name != rule]
        result = curate(file, settings={"filters": rules, "filters_drop": tuple(others)})
        assert result.texts == [good]
        assert {name.split(".")[0] for name in result.rules} == {rule}
    file.write_bytes(orjson.dumps({"text": good}))
    assert curate(file, settings={"filters": rules}).texts == [good]


WORDS = [
    ("source", "cold", "seen"),
    ("mouth", "wide", "crossed"),
    ("bank", "steep", "climbed"),
    ("bed", "deep", "felt"),
]
