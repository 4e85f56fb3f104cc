"""The command line as a user meets it: streams, exit codes, help, errors."""

import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

import pytest
from corpus import settings_text

COMMANDS = ("run", "curate", "dedup", "tokenize", "plan-scaling", "train", "generate", "inspect", "verify", "init")


def test_help_is_quick_and_imports_nothing_heavy(llmforge) -> None:
    code = (
        "import sys\nfrom llmforge.cli.main import main\nsys.argv = ['llmforge', '--help']\n"
        "try:\n    main()\nexcept SystemExit:\n    pass\n"
        "print(sorted({'torch', 'datasets', 'deepspeed', 'pyarrow', 'scipy', 'trafilatura'} & set(sys.modules)))"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=Path(__file__).parents[2]
    )
    assert result.stdout.splitlines()[-1] == "[]"
    for command in COMMANDS:
        assert command in result.stdout


@pytest.mark.slow
def test_help_answers_in_under_three_tenths_of_a_second(llmforge) -> None:
    times = []
    for _ in range(5):
        start_s = time.perf_counter()
        assert llmforge("--help").returncode == 0
        times.append(time.perf_counter() - start_s)
    assert statistics.median(times) < 0.6  # twice the goal: this machine may be busy; the goal is measured by hand


@pytest.mark.parametrize("command", [*COMMANDS, "sample-data", "doctor", "config show"])
def test_every_command_has_help_with_an_example(llmforge, command: str) -> None:
    result = llmforge(*command.split(), "--help")
    assert result.returncode == 0
    assert f"Example: llmforge {command}" in " ".join(result.stdout.split())


def test_the_version_is_data(llmforge) -> None:
    result = llmforge("--version")
    assert (result.returncode, result.stdout) == (0, "0.1.0\n")


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (["trian"], 2, "No such command 'trian'"),
        (["run", "--stict"], 2, "No such option: --stict"),
        (["run", "-c", "absent.yaml"], 2, "absent.yaml: no such file"),
        (["run", "--set", "dedup.minhash.band=3"], 2, "did you mean `bands`?"),
        (["run", "--from", "tokenise"], 2, "--from: unknown stage; got 'tokenise'"),
        (["curate"], 2, "curate.sources"),
        (["curate", "--data", "absent"], 3, "absent"),
        (["dedup"], 3, "the stage 'curate' has not finished"),
        (["dedup", "--data", "absent"], 3, "absent"),
        (["inspect", "absent"], 3, "no stage has finished here"),
        (["verify", "absent"], 3, "no finished stage in this folder"),
        (["init", "latop"], 2, "did you mean `laptop`?"),
        (["generate", "absent", "--prompt", "x"], 3, "absent"),
    ],
)
def test_an_error_has_its_code_and_says_what_to_do(
    llmforge, tmp_path: Path, words: list[str], code: int, says: str
) -> None:
    result = llmforge(*words, cwd=tmp_path)
    assert result.returncode == code, result.stderr
    assert says in result.stderr
    assert "Traceback" not in result.stderr
    assert result.stdout == ""


def test_an_unwritable_place_is_an_environment_error(llmforge, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    result = llmforge("curate", "--data", "file", "--set", "run.dir=file/runs", cwd=tmp_path)
    assert result.returncode == 4
    assert "not writable" in result.stderr


@pytest.fixture(scope="module")
def curated(corpus: Path, tmp_path_factory: pytest.TempPathFactory, llmforge) -> Path:
    """A folder with a config and a run that is curated and deduplicated."""
    folder = tmp_path_factory.mktemp("cli")
    (folder / "llmforge.yaml").write_text(settings_text(corpus, Path("runs")))
    result = llmforge("run", "--to", "dedup", "--json", cwd=folder)
    assert result.returncode == 0, result.stderr
    assert [stage["stage"] for stage in json.loads(result.stdout)["stages"]] == ["curate", "dedup"]
    return folder


def test_stdout_is_data_and_stderr_tells(llmforge, curated: Path) -> None:
    again = llmforge("curate", cwd=curated)
    assert again.stdout == ""
    assert "up to date" in again.stderr
    assert "next          llmforge dedup -c runs/small/run.yaml" in again.stderr
    quiet = llmforge("curate", "--quiet", "--json", cwd=curated)
    assert json.loads(quiet.stdout)["status"] == "up to date"
    assert all(line.startswith("warning: ") for line in quiet.stderr.splitlines())


def test_the_written_settings_give_the_same_run(llmforge, curated: Path) -> None:
    again = llmforge("run", "-c", "runs/small/run.yaml", "--to", "dedup", "--json", cwd=curated)
    assert [stage["status"] for stage in json.loads(again.stdout)["stages"]] == ["up to date", "up to date"]


def test_a_changed_threshold_stops_with_its_name(llmforge, curated: Path) -> None:
    changed = llmforge("run", "--to", "dedup", "--set", "dedup.minhash.verify_jaccard=0.8", "--json", cwd=curated)
    assert changed.returncode == 3
    assert "dedup.minhash.verify_jaccard: was absent (or the default), now 0.8" in changed.stderr
    assert json.loads(changed.stdout)["exit_code"] == 3


def test_verify_reads_every_byte_again(llmforge, curated: Path) -> None:
    assert llmforge("verify", "runs/small", cwd=curated).returncode == 0
    shard = next((curated / "runs/small/dedup/data").iterdir())
    whole = shard.read_bytes()
    shard.write_bytes(whole[:30] + bytes([whole[30] ^ 1]) + whole[31:])
    damaged = llmforge("verify", "runs/small", cwd=curated)
    shard.write_bytes(whole)
    assert damaged.returncode == 3
    assert f"{shard.name}: its content is not what the manifest says" in damaged.stderr


def test_verify_proves_the_removals_and_inspect_shows_them(llmforge, curated: Path) -> None:
    proven = json.loads(llmforge("verify", "runs/small", "--json", cwd=curated).stdout)["dedup"]
    assert proven["removed"] == 19
    assert proven["missed"] <= proven["allowed"]
    shown = llmforge("inspect", "dups", "runs/small", "--method", "minhash", "--pairs", "1", cwd=curated).stdout
    first, went, stays = shown.splitlines()
    assert "went, " in first
    assert "stays: minhash, similarity 0." in first
    assert went.startswith("  went  texts: ")
    assert stays.startswith("  stays more: ")
    assert "[changed]" in went + stays


def test_config_show_names_the_origin(llmforge, curated: Path) -> None:
    result = llmforge("config", "show", "--origin", "--set", "run.seed=5", cwd=curated)
    assert "run.seed = 5  # --set run.seed=5" in result.stdout
    assert "tokenize.vocab_size = 512  # llmforge.yaml:" in result.stdout
    assert "dedup.exact = True  # default" in result.stdout
    shown = json.loads(llmforge("config", "show", "--json", cwd=curated).stdout)
    assert shown["tokenize"]["vocab_size"] == 512


def test_init_writes_a_config_that_loads_and_overwrites_nothing(llmforge, tmp_path: Path) -> None:
    assert "laptop" in llmforge("init", cwd=tmp_path).stdout
    assert llmforge("init", "laptop", cwd=tmp_path).returncode == 0
    assert llmforge("config", "show", cwd=tmp_path).returncode == 0
    again = llmforge("init", "laptop", cwd=tmp_path)
    assert again.returncode == 3
    assert "llmforge.yaml: exists already" in again.stderr


def test_a_full_disk_is_said_and_the_same_command_goes_on(llmforge, corpus: Path, tmp_path: Path) -> None:
    (tmp_path / "llmforge.yaml").write_text(settings_text(corpus, Path("runs")))
    command = "import resource, runpy, sys; resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000)); "
    command += (
        "sys.argv = ['llmforge', 'curate', '--set', 'run.workers=2']; runpy.run_module('llmforge', run_name='__main__')"
    )
    full = subprocess.run(
        [sys.executable, "-c", command],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
    )
    assert full.returncode == 4, full.stderr
    assert "the disk is full" in full.stderr
    assert "Traceback" not in full.stderr
    assert not list((tmp_path / "runs").rglob("*.tmp-*"))
    assert llmforge("curate", "--set", "run.workers=2", cwd=tmp_path).returncode == 0
