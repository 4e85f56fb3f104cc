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
    "refinedweb": ["urls_in_text", "gopher_repetition@dclm", "gopher_quality", "refinedweb_lines"],
    "fineweb": ["gopher_repetition@datatrove", "gopher_quality@datatrove", "c4@paper", "fineweb@code", "pii"],
    "c4": ["c4@code"],
    "gopher": ["gopher_quality", "gopher_repetition@dclm"],
    "stack": ["license", "stack@v2", "pii", "secrets"],
    "mathpile": ["mathpile"],
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


@pytest.mark.parametrize("recipe", RECIPES)
def test_a_recipe_sets_the_languages_that_its_paper_keeps_unless_the_settings_do(tmp_path, recipe):
    kept = {"gopher": (), "stack": ()}.get(recipe, ("en",))
    assert load(tmp_path, f"  recipe: {recipe}\n").curate.language.keep == kept
    assert load(tmp_path, f"  recipe: {recipe}\n  language: {{keep: [de]}}\n").curate.language.keep == ("de",)


def test_an_unknown_recipe_is_refused_with_the_nearest(tmp_path):
    text = refusal(tmp_path, "  recipe: finewep\n")
    allowed = "'c4', 'fineweb', 'gopher', 'mathpile', 'refinedweb', 'stack'"
    assert f"run.yaml:2:3: `curate.recipe` does not fit; got 'finewep', allowed {allowed}" in text
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


SENTENCES = "\n".join(
    (
        "The source lies high in the hills, and hardly anyone has seen it.",
        "Where it meets the sea its mouth is as wide as a town.",
        "Goats climb the steep bank in summer, but nobody follows them.",
        "Fishermen say that the bed is deep enough for a church.",
    )
)
GOOD = f"{PROSE}\n{SENTENCES}"
CODE = "def add(first, second):\n    return first + second\n"

# What every rule of a recipe has to drop or to change.
BAD: dict[str, Any] = {
    "gopher_quality": "Short.",
    "gopher_repetition": "\n".join(["The same line again and again."] * 20),
    "c4": PROSE + "\nThe code is { and no more of it.",
    "fineweb": "\n".join([SENTENCES, SENTENCES, PROSE]),
    "urls_in_text": f"{GOOD} See https://example.org/a.",
    "refinedweb_lines": "\n".join([PROSE, *["MENU AND MORE OF THE MENU"] * 3]),
    "mathpile": "Too short for mathematics.",
    "pii": f"{GOOD} Write to ann@example.org.",
    "stack": "x = 1\n" + "y" * 1001,
    "license": CODE,
    "secrets": CODE + 'KEY = "AKIAABCDEFGHIJKLMNOP"\n',
}
EDITS = {"urls_in_text", "pii", "secrets"}


def row(text: str, license_name: str = "MIT") -> dict[str, Any]:
    """A row as data sets of prose have it, and as those of code do."""
    return {"text": text, "content": text, "lang": "Python", "licenses": [license_name]}


@pytest.mark.parametrize(("recipe", "rule"), [(recipe, rule) for recipe, rules in RECIPES.items() for rule in rules])
def test_every_rule_of_a_recipe_can_fire(tmp_path, curate, recipe, rule):
    good = CODE if recipe == "stack" else GOOD
    name = rule.split("@")[0]
    file = tmp_path / "rows.jsonl"
    rows = [row(good), row(BAD[name], "GPL-3.0" if name == "license" else "MIT")]
    file.write_bytes(b"\n".join(map(orjson.dumps, rows)))
    others = tuple(other for other in RECIPES[recipe] if other != rule)
    filters = tuple(read_recipe(recipe)["filters"])
    source = {"preset": "the_stack"} if recipe == "stack" else {}
    result = curate(file, settings={"filters": filters, "filters_drop": others}, **source)
    if name in EDITS:
        assert len(result.texts) == 2
        assert result.texts[0] == good
        assert result.texts[1] != BAD[name]
        assert result.manifest.counts["measures"][f"edited_by_{rule}"] == 1
    else:
        assert result.texts == [good]
        assert {dropped.split(".")[0] for dropped in result.rules} == {rule}


@pytest.mark.parametrize("recipe", RECIPES)
def test_a_good_document_passes_the_whole_recipe_as_it_is(tmp_path, curate, recipe):
    good = CODE if recipe == "stack" else GOOD
    file = tmp_path / "rows.jsonl"
    file.write_bytes(orjson.dumps(row(good)))
    source = {"preset": "the_stack"} if recipe == "stack" else {}
    assert curate(file, settings={"recipe": recipe}, **source).texts == [good]
