"""`llmforge plan-scaling` as a user meets it: a what-if on stdout, and the same plan written down."""

import json
from pathlib import Path

from corpus import settings_text

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
    assert asked["question"] == {"kind": "budget_flops", "value": 1e20, "flops": 1e20}
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


def write_table(folder: Path, last_loss: str = "3.0") -> Path:
    sizes = [(n * 1e7, d * 1e8) for n in (1, 4, 16) for d in (2, 8, 32, 128)]
    rows = [f"{n},{d},{1.8 + 400 * n**-0.35 + 1500 * d**-0.36}" for n, d in sizes]
    path = folder / "runs.csv"
    path.write_text("\n".join(["params,tokens,loss", *rows, f"5e7,1e9,{last_loss}"]) + "\n")
    return path


def test_a_fit_is_one_json_object(llmforge, tmp_path: Path) -> None:
    result = llmforge("plan-scaling", "--fit", write_table(tmp_path), "--json", cwd=tmp_path)
    fit = json.loads(result.stdout)["fit"]
    assert set(fit["params"]) == {"E", "A", "B", "alpha", "beta"}
    assert fit["params"]["alpha"] > 0
    assert fit["objective"] > 0
    assert fit["num_runs"] == 13
    assert fit["intervals"]["E"][0] <= fit["intervals"]["E"][1]


def test_a_fit_as_text_ends_with_how_to_use_it(llmforge, tmp_path: Path) -> None:
    result = llmforge("plan-scaling", "--fit", write_table(tmp_path), cwd=tmp_path)
    *_, setting = result.stdout.splitlines()[-1].split(" ", 7)
    assert setting.startswith("--set 'plan_scaling.own_law={E:")
    law = setting.removeprefix("--set ").strip("'")
    plan = llmforge(*QUESTION, "--set", law, "--dry-run", cwd=tmp_path)
    assert any(line.startswith("own fit") for line in plan.stdout.splitlines()), plan.stderr


def test_a_bad_row_of_a_table_is_named(llmforge, tmp_path: Path) -> None:
    result = llmforge("plan-scaling", "--fit", write_table(tmp_path, "nan"), cwd=tmp_path)
    assert result.returncode == 3
    assert "runs.csv, line 14: loss is 'nan', which is no positive number" in result.stderr
    assert result.stdout == ""


def test_a_check_needs_a_training(llmforge, tmp_path: Path) -> None:
    result = llmforge("plan-scaling", "--check", "absent", cwd=tmp_path)
    assert result.returncode == 3
    assert "absent: nothing has been trained here" in result.stderr


def test_a_check_compares_a_real_training(llmforge, corpus: Path, tmp_path: Path) -> None:
    (tmp_path / "llmforge.yaml").write_text(settings_text(corpus, Path("runs")))
    made = llmforge("run", "--quiet", cwd=tmp_path)
    assert made.returncode == 0, made.stderr
    (tmp_path / "runs").rename(tmp_path / "elsewhere")
    result = llmforge("plan-scaling", "--check", tmp_path / "elsewhere" / "small", "--json", cwd=tmp_path)
    found = {one["name"]: one for one in json.loads(result.stdout)["check"]}
    assert found["validation loss"]["measured"] > 4
    assert found["speed"]["measured"] > 0
    assert found["time to go"]["measured"] == 0
    lines = llmforge("plan-scaling", "--check", "elsewhere/small", cwd=tmp_path).stdout.splitlines()
    assert [line.split("  ")[0] for line in lines[1:]] == list(found)
    (tmp_path / "elsewhere" / "small" / "train" / "metrics.jsonl").unlink()
    bare = llmforge("plan-scaling", "--check", "elsewhere/small", cwd=tmp_path)
    assert bare.returncode == 3
    assert "no step has been logged yet" in bare.stderr


def test_repeated_data_give_half_lives_on_top_of_the_law(llmforge, tmp_path: Path) -> None:
    table = write_table(tmp_path, "2.9")
    header, *rows = table.read_text().splitlines()
    repeated = [f"{n}e7,4e8,3.{n},1e8" for n in (2, 4, 8)]
    table.write_text("\n".join([f"{header},unique_tokens", *(f"{row}," for row in rows), *repeated]) + "\n")
    found = json.loads(llmforge("plan-scaling", "--fit", table, "--json", cwd=tmp_path).stdout)
    assert found["fit"]["num_runs"] == 13
    assert 0 < found["repetition"]["objective"] <= found["repetition"]["published_objective"]
    assert "half-life of tokens" in llmforge("plan-scaling", "--fit", table, cwd=tmp_path).stdout


def test_a_design_ends_with_the_sweeps_that_train_it(llmforge, tmp_path: Path) -> None:
    words = (*QUESTION, "--design", "0.05")
    shown = llmforge(*words, cwd=tmp_path).stdout.splitlines()
    found = json.loads(llmforge(*words, "--json", cwd=tmp_path).stdout)["design"]
    commands = [line for line in shown if line.startswith("llmforge sweep")]
    assert len(commands) == len(found["runs"]) >= 8
    assert f"--grid train.tokens={found['runs'][0]['settings']['train.tokens']} " in commands[0]
    assert found["flops"] <= 0.05 * found["target_flops"]
    refused = llmforge(*QUESTION, "--design", "2", cwd=tmp_path)
    assert refused.returncode == 2


def test_two_questions_at_once_are_refused(llmforge, tmp_path: Path) -> None:
    result = llmforge("plan-scaling", "--fit", "runs.csv", "--design", "0.01", cwd=tmp_path)
    assert result.returncode == 2
    assert "--fit and --design: each is a question of its own" in result.stderr
