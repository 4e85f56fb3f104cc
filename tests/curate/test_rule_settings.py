"""Rules in the settings: by name or with limits; a name that does not exist is refused with the nearest."""

from pathlib import Path

import pytest

from llmforge.config.load import load_settings
from llmforge.core.errors import SettingsError


def load(tmp_path: Path, curate: str):
    file = tmp_path / "run.yaml"
    file.write_text(f"curate:\n{curate}")
    return load_settings(file).settings.curate


def test_rules_stand_by_name_or_with_limits(tmp_path):
    section = load(tmp_path, "  filters: [gopher_quality, {rule: gopher_repetition@dclm, max_top_2gram: 0.3}]\n")
    assert [rule.rule for rule in section.filters] == ["gopher_quality", "gopher_repetition@dclm"]
    assert section.filters[1].max_top_2gram == 0.3


def test_an_unknown_rule_is_refused_with_the_nearest(tmp_path):
    with pytest.raises(SettingsError) as caught:
        load(tmp_path, "  filters: [gopher_repetition]\n")
    assert "run.yaml:2:13: `curate.filters.0` does not fit" in str(caught.value)
    assert "allowed rule 'gopher_quality', " in str(caught.value)
    assert "did you mean `gopher_repetition@" in str(caught.value)


def test_a_section_without_its_rule_is_refused(tmp_path):
    with pytest.raises(SettingsError, match="allowed a section with 'rule'"):
        load(tmp_path, "  filters: [{min_words: 3}]\n")


def test_an_unknown_limit_of_a_rule_is_refused(tmp_path):
    with pytest.raises(SettingsError, match=r"unknown key; got `curate.filters.0.min_wrods`") as caught:
        load(tmp_path, "  filters: [{rule: gopher_quality, min_wrods: 3}]\n")
    assert "did you mean `min_words`?" in str(caught.value)


def test_a_limit_out_of_bounds_is_refused_at_its_place(tmp_path):
    with pytest.raises(SettingsError, match=r"run.yaml:3:\d+: `curate.filters.0.max_bullet_lines` does not fit"):
        load(tmp_path, "  filters:\n    - {rule: gopher_quality, max_bullet_lines: 2}\n")
