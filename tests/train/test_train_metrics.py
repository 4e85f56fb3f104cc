"""metrics.jsonl: appended line by line, cut on resume."""

from pathlib import Path

import orjson

from llmforge.train.metrics import MetricsFile, cut_after


def test_lines_after_the_resumed_step_are_cut_away(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    metrics = MetricsFile(path, 0)
    for step in (1, 5, 10, 15):
        metrics.add({"step": step, "loss": 1.0 / step})
    metrics.sync()
    metrics.close()
    resumed = MetricsFile(path, 10)
    resumed.add({"step": 12})
    resumed.close()
    assert [orjson.loads(line)["step"] for line in path.read_bytes().splitlines()] == [1, 5, 10, 12]


def test_a_line_that_was_cut_short_goes_too(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    path.write_bytes(b'{"step":1}\n{"step":2,"lo')
    cut_after(path, 100)
    assert path.read_bytes() == b'{"step":1}\n'


def test_a_fresh_start_leaves_nothing_of_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    path.write_bytes(b'{"step":1}\n')
    MetricsFile(path, 0).close()
    assert path.read_bytes() == b""
