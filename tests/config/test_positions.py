import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmforge.config.positions import parse_scalar, parse_yaml, read_yaml
from llmforge.core.errors import SettingsError


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("3e-4", 3e-4),
        ("1e9", 1e9),
        ("3.0e5", 3e5),
        ("010", 10),
        ("no", "no"),
        ("on", "on"),
        ("12:30", "12:30"),
        ("true", True),
        ("null", None),
        ("", None),
        ("-7", -7),
        (".5", 0.5),
        ("2024-01-01", "2024-01-01"),
        ("1_000", "1_000"),
        ("0x10", "0x10"),
    ],
)
def test_scalars_follow_yaml_1_2(text: str, value: object) -> None:
    read = parse_yaml(f"key: {text}\n", "f").value["key"]
    assert read == value
    assert type(read) is type(value)


def test_quoted_numbers_stay_text() -> None:
    assert parse_yaml("a: '1'\nb: \"null\"\n", "f").value == {"a": "1", "b": "null"}


@given(st.floats(allow_nan=False))
def test_every_float_reads_back(value: float) -> None:
    assert parse_scalar(repr(value).replace("inf", ".inf")) == value


def test_not_a_number_is_read_as_one_so_that_the_schema_can_refuse_it() -> None:
    assert math.isnan(parse_scalar(".nan"))


def test_positions_count_from_one() -> None:
    marks = parse_yaml("run:\n  name: x\ncurate:\n  sources:\n    - {path: a}\n", "f.yaml").marks
    assert str(marks[("run", "name")]) == "f.yaml:2:3"
    assert str(marks[("curate", "sources", 0, "path")]) == "f.yaml:5:8"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("a: 1\nb: 2\na: 3\n", r"f.yaml:3:1: key `a` stands twice; first at line 1"),
        ("a: &x [1]\nb: *x\n", r"f.yaml:2:4: aliases are not allowed; got \*x"),
        ("a: !!python/object:os.system x\n", r"f.yaml:1:4: tags are not allowed; got tag:yaml.org,2002:python"),
        ("a: [1\n", r"f.yaml:2:1: not YAML"),
        ("a: " + "[" * 30 + "]" * 30, r"nested more than 20 levels deep"),
        ("a: " + "[" * 5000 + "]" * 5000, r"not YAML|nested more"),
    ],
)
def test_what_is_refused_and_where(text: str, says: str) -> None:
    with pytest.raises(SettingsError, match=says) as caught:
        parse_yaml(text, "f.yaml")
    assert caught.value.exit_code == 2


def test_a_missing_or_binary_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"nowhere.yaml: no such file"):
        read_yaml(tmp_path / "nowhere.yaml")
    (tmp_path / "binary.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(SettingsError, match=r"binary.yaml: not readable as UTF-8"):
        read_yaml(tmp_path / "binary.yaml")
