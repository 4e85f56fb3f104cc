"""Local copies of published data sets, in the layouts that the hub has them in."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from curating import PROSE, Result

from llmforge.config.curate import SourceSection
from llmforge.curate.readers.presets import PRESETS, find_preset

pa = pytest.importorskip("pyarrow")
pq = pytest.importorskip("pyarrow.parquet")

Curate = Callable[..., Result]

REFINEDWEB = {
    "content": PROSE,
    "url": "http://a/1",
    "timestamp": datetime(2019, 3, 27, 6, 10, tzinfo=UTC),
    "dump": "CC-MAIN-2019-13",
    "segment": "1552912201455.20",
    "image_urls": [["http://a/i.png", "alt"]],
}
PILE = {"text": PROSE, "meta": {"pile_set_name": "Pile-CC"}}
STACK = {
    "hexsha": "0" * 40,
    "size": 120,
    "ext": "py",
    "lang": "Python",
    "max_stars_repo_path": "src/a.py",
    "max_stars_repo_name": "org/repo",
    "max_stars_repo_licenses": ["MIT", "Apache-2.0"],
    "max_stars_count": 7,
    "content": "def f(x):\n    return x + 1\n",
    "avg_line_length": 12.5,
    "max_line_length": 16,
    "alphanum_fraction": 0.5,
}
MATHPILE = {"text": PROSE, "SubSet": "arXiv", "meta": {"language_detection_score": 0.99, "idx": 3}}
ROWS = {
    "falcon-refinedweb": (
        REFINEDWEB,
        "prose",
        {"crawled": "2019-03-27T06:10:00+00:00", "dump": "CC-MAIN-2019-13"},
    ),
    "the_pile_deduplicated": (PILE, "prose", {"subset": "Pile-CC"}),
    "the-stack": (
        STACK,
        "code",
        {
            "language": "python",
            "license": "MIT AND Apache-2.0",
            "path": "src/a.py",
            "repository": "org/repo",
            "stars": 7,
        },
    ),
    "MathPile": (MATHPILE, "maths", {"subset": "arXiv", "language_detection_score": 0.99, "idx": 3}),
}


def write_parquet(folder: Path, row: dict[str, Any]) -> Path:
    folder.mkdir(parents=True)
    pq.write_table(pa.Table.from_pylist([row] * 3), folder / "train-00000-of-00001.parquet")
    return folder


@pytest.mark.parametrize("name", ROWS)
def test_a_local_copy_is_known_by_its_name(curate: Curate, tmp_path: Path, name: str) -> None:
    row, kind, meta = ROWS[name]
    result = curate(write_parquet(tmp_path / name, row))
    assert result.texts == [row.get("content") or row["text"]] * 3
    assert result.kept[0]["url"] == row.get("url", "")
    assert {key: result.kept[0]["meta"][key] for key in meta} == meta
    assert result.manifest.results["sources"]["s0"]["kind"] == kind


@pytest.mark.parametrize(("preset", "name"), [("the_pile", "the_pile_deduplicated"), ("mathpile", "MathPile")])
def test_json_lines_of_any_name_are_read_by_the_layout_that_the_settings_name(
    curate: Curate, tmp_path: Path, write_jsonl: Callable[..., Path], preset: str, name: str
) -> None:
    row, kind, meta = ROWS[name]
    result = curate(write_jsonl(tmp_path / "shard.jsonl", [row]), preset=preset)
    assert {key: result.kept[0]["meta"][key] for key in meta} == meta
    assert result.manifest.results["sources"]["s0"]["kind"] == kind


def test_rules_for_code_judge_the_stack_and_those_for_prose_do_not(curate: Curate, tmp_path: Path) -> None:
    long_line = {**STACK, "content": "x = [" + "1, " * 600 + "]\n"}
    folder = write_parquet(tmp_path / "the-stack-dedup", STACK)
    pq.write_table(pa.Table.from_pylist([long_line]), folder / "train-00001-of-00001.parquet")
    settings = {"filters": ({"rule": "gopher_quality"}, {"rule": "stack@v1"})}
    result = curate(folder, settings=settings)
    assert result.texts == [STACK["content"]] * 3
    assert [rule.split(".")[0] for rule in result.rules] == ["stack@v1"]


def test_every_data_set_is_known_under_each_of_its_names() -> None:
    for key, preset in PRESETS.items():
        for name in preset.names:
            assert find_preset(SourceSection(path=name)) is preset
        assert find_preset(SourceSection(path="/data/any", preset=key)) is preset
    assert find_preset(SourceSection(path="org/other")) is None
    assert find_preset(SourceSection(path="/data/pile")) is None
