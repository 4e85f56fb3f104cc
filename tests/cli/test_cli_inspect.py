"""`llmforge inspect`: a run where no command is named, and the parameters of a model."""

import json
from pathlib import Path

import pytest


def test_parameters_of_a_preset_layer_by_layer(llmforge, tmp_path: Path) -> None:
    result = llmforge("inspect", "params", "gpt2", cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    rows = {line.split("  ")[0]: line.split() for line in result.stdout.splitlines() if line}
    assert rows["blocks.*.ffn.up"][1:] == ["768", "x", "3,072", "+", "3,072", "2,362,368", "12", "28,348,416"]
    assert rows["total"][-1] == "124,439,808"
    assert rows["bf16"][1:] == ["248,879,616", "248.9", "MB"]
    assert rows["together"][1] == f"{16 * 124_439_808:,}"
    assert "together 61 parameters" in result.stdout
    assert "117M" in result.stdout


def test_parameters_of_a_settings_file_are_those_of_its_vocabulary(llmforge, tmp_path: Path) -> None:
    (tmp_path / "own.yaml").write_text("model: {preset: gpt2-nano, vocab_multiple: 1}\ntokenize: {vocab_size: 1000}\n")
    shown = json.loads(llmforge("inspect", "params", "own.yaml", "--json", cwd=tmp_path).stdout)
    assert shown["weights"][0] == {
        "name": "embedding",
        "formula": "1,000 x 64",
        "each": 64_000,
        "copies": 1,
        "total": 64_000,
    }
    assert sum(row["total"] for row in shown["weights"]) == shown["parameters"]["total"]


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (["params", "gpt-2"], 2, "did you mean 'gpt2'?"),
        (["params", "absent.yaml"], 2, "absent.yaml: no such file"),
        (["params"], 2, "Missing argument 'PRESET_OR_CONFIG'"),
        (["absent"], 3, "no stage has finished here"),
        (["run", "absent"], 3, "no stage has finished here"),
        (["--json", "absent"], 3, "no stage has finished here"),
        ([], 2, "Missing argument 'RUN'"),
    ],
)
def test_a_first_word_that_is_no_command_is_a_run(llmforge, tmp_path: Path, words, code: int, says: str) -> None:
    result = llmforge("inspect", *words, cwd=tmp_path)
    assert result.returncode == code
    assert says in result.stderr


def test_a_file_that_leaves_the_model_to_the_plan_asks_for_the_plan(llmforge, tmp_path: Path) -> None:
    (tmp_path / "open.yaml").write_text("tokenize: {vocab_size: 1000}\n")
    result = llmforge("inspect", "params", "open.yaml", cwd=tmp_path)
    assert result.returncode == 3
    assert "run `llmforge plan-scaling` first" in result.stderr


@pytest.mark.parametrize("command", ["inspect run", "inspect params"])
def test_both_commands_have_help_with_an_example(llmforge, command: str) -> None:
    result = llmforge(*command.split(), "--help")
    assert "Example: llmforge inspect" in result.stdout
