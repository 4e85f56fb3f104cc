"""`llmforge parity` at the command line; what it compares is tested with the strategies."""

import json

import pytest


@pytest.fixture
def config(tmp_path):
    path = tmp_path / "own.yaml"
    path.write_text("model: {preset: llama2-nano}\n")
    return path


def test_a_number_of_processes_that_nothing_is_compared_on_is_refused(llmforge, config):
    result = llmforge("parity", "-c", config, "--processes", "3")
    assert result.returncode == 2
    assert "--processes is 3; allowed: 2, 4, 8" in result.stderr


@pytest.mark.slow
@pytest.mark.dist
@pytest.mark.timeout(900)
def test_the_table_tells_how_far_strategies_are_off_and_what_a_rank_holds(llmforge, config):
    """Of Llama 2, whose weights rounding takes furthest."""
    result = llmforge("parity", "-c", config, "--processes", "2", "--json", timeout=800)
    assert result.returncode == 0, result.stderr
    rows = {row["strategy"]: row for row in json.loads(result.stdout)["rows"]}
    assert {name.split()[0].strip(",") for name in rows} == {
        *("single", "ddp", "fsdp", "model", "pipeline", "tensor", "zero1", "zero2", "zero3")
    }
    assert [name for name, row in rows.items() if row["misses"]] == []
    held = {name: row["state_bytes"] for name, row in rows.items()}
    assert held["ddp"] == pytest.approx(held["single"], rel=0.01)
    assert held["fsdp"] <= 0.6 * held["single"]
    assert held["zero2"] <= held["zero1"] < held["single"]
