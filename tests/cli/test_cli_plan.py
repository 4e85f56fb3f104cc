"""`llmforge plan-scaling` as a user meets it: a what-if on stdout, and the same plan written down."""

import json
from pathlib import Path

QUESTION = ("plan-scaling", "--set", "plan_scaling.budget_flops=1e20")


def test_a_what_if_needs_no_run_and_writes_nothing(llmforge, tmp_path: Path) -> None:
    result = llmforge(*QUESTION, "--dry-run", cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    lines = result.stdout.splitlines()
    assert lines[0].split() == ["planned", "from", "1e+20", "FLOPs", "a", "compute", "budget"]
    for law in ("20 tokens per parameter", "Chinchilla approach 1", "Kaplan", "Llama 3"):
        assert any(line.startswith(law) for line in lines)
    assert any(line.startswith("memory a rank, GiB") for line in lines)
    assert list(tmp_path.iterdir()) == []


def test_a_plan_is_one_json_object(llmforge, tmp_path: Path) -> None:
    asked = json.loads(llmforge(*QUESTION, "--dry-run", "--json", cwd=tmp_path).stdout)
    assert asked["question"] == {"kind": "budget_flops", "value": 1e20}
    assert asked["recommended"]["params"] > 5e8
    made = json.loads(llmforge(*QUESTION, "--json", cwd=tmp_path).stdout)
    assert made["status"] == "built"
    assert {name: made[name] for name in asked} == asked
    assert json.loads((Path(tmp_path) / made["folder"] / "plan.json").read_text()) == asked


def test_cautions_are_part_of_the_plan(llmforge, tmp_path: Path) -> None:
    result = llmforge("plan-scaling", "--set", "plan_scaling.params=1e6", "--dry-run", cwd=tmp_path)
    assert "caution: no loss is predicted" in result.stdout


def test_a_question_without_an_answer_is_a_settings_error(llmforge, tmp_path: Path) -> None:
    result = llmforge("plan-scaling", "--set", "plan_scaling.budget_flops=1e6", cwd=tmp_path)
    assert result.returncode == 2
    assert "asks for a model of 91 parameters" in result.stderr
    assert not (tmp_path / "runs").exists()
