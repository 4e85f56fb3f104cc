"""`llmforge doctor`: what it says of machines of many kinds, and its exit code."""

import importlib.metadata
import json
import subprocess
import sys

import pytest

from llmforge.cli import doctor
from llmforge.core import probe

A100 = {"name": "NVIDIA A100-SXM4-80GB", "memory": 85_000_000_000, "capability": [8, 0]}
T4 = {"name": "Tesla T4", "memory": 15_800_000_000, "capability": [7, 5]}
CPU_TORCH = {"version": "2.13.0+cpu", "cuda": None, "hip": None, "devices": [], "mps": False, "backends": ["gloo"]}
CUDA_TORCH = {**CPU_TORCH, "version": "2.13.0", "cuda": "13.0", "devices": [A100], "backends": ["gloo", "nccl"]}
NO_TORCH = {"error": "ModuleNotFoundError: No module named 'torch'"}


def test_the_command_answers_on_this_machine(llmforge):
    answer = llmforge("doctor", "--json")
    assert answer.returncode == 0, answer.stderr
    findings = {finding["name"]: finding for finding in json.loads(answer.stdout)["findings"]}
    assert list(findings) == (
        "python packages torch accelerators precision processor memory disk compiler deepspeed extras".split()
    )
    assert findings["torch"]["found"].startswith(importlib.metadata.version("torch"))
    assert findings["python"]["found"].endswith(sys.executable)
    assert all(finding["means"] for finding in findings.values())


def test_doctor_itself_imports_neither_torch_nor_deepspeed():
    code = (
        "import sys; from llmforge.cli.doctor import run_doctor; run_doctor();"
        "print(sorted({'torch', 'deepspeed', 'datasets'} & set(sys.modules)))"
    )
    child = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert child.stdout.strip() == "[]"


def test_missing_torch_is_exit_code_4_and_says_what_still_works(monkeypatch, capsys):
    monkeypatch.setattr(doctor, "ask_libraries", lambda timeout_s: (NO_TORCH, NO_TORCH))
    with pytest.raises(doctor.typer.Exit) as caught:
        doctor.doctor()
    assert caught.value.exit_code == 4
    lines = capsys.readouterr().out.splitlines()
    at = next(number for number, line in enumerate(lines) if line.startswith("missing  torch"))
    assert lines[at].endswith("ModuleNotFoundError: No module named 'torch'")
    assert lines[at + 1].strip() == "train and generate do not run; the data stages do"
    assert lines[at + 2].strip().startswith("do: pip install torch")


def test_missing_deepspeed_is_no_failure():
    finding = doctor.look_at_deepspeed({"error": "ModuleNotFoundError: No module named 'deepspeed'"})
    assert (finding.status, finding.means) == ("note", "zero1, zero2 and zero3 do not run; every other strategy does")


@pytest.mark.parametrize(
    ("torch", "driver", "status", "words"),
    [
        (CPU_TORCH, False, "note", "none training runs on the processor"),
        (CPU_TORCH, True, "note", "install a CUDA build of torch"),
        (CUDA_TORCH, True, "ok", "NVIDIA A100-SXM4-80GB, 85.0 GB training uses it"),
        ({**CUDA_TORCH, "devices": [A100, A100]}, True, "ok", "llmforge train --nproc 2"),
        ({**CPU_TORCH, "mps": True}, False, "note", "Apple GPU (mps)"),
        (NO_TORCH, True, "note", "none training runs on the processor"),
    ],
)
def test_accelerators(monkeypatch, torch, driver, status, words):
    monkeypatch.setattr(doctor, "has_nvidia_driver", lambda: driver)
    finding = doctor.look_at_accelerators(torch)
    assert finding.status == status
    assert words in f"{finding.found} {finding.means} {finding.action}"


@pytest.mark.parametrize(
    ("torch", "flags", "status", "found"),
    [
        (CUDA_TORCH, (), "ok", "compute capability 8.0: fp32, tf32 and bf16 in hardware"),
        ({**CUDA_TORCH, "devices": [A100, T4]}, (), "note", "compute capability 7.5: fp32; no bf16 in hardware"),
        ({**CUDA_TORCH, "cuda": None, "hip": "7.0"}, (), "ok", "fp32, and bf16 as ROCm gives it"),
        (
            CPU_TORCH,
            ("avx2", "avx512_bf16", "amx_bf16"),
            "ok",
            "fp32, and bf16 on the processor (amx_bf16, avx512_bf16)",
        ),
        (CPU_TORCH, ("avx2",), "ok", "fp32"),
        (NO_TORCH, (), "ok", "fp32"),
    ],
)
def test_precision(monkeypatch, torch, flags, status, found):
    monkeypatch.setattr(doctor, "processor_flags", lambda: frozenset(flags))
    finding = doctor.look_at_precision(torch)
    assert (finding.status, finding.found) == (status, found)


@pytest.mark.parametrize(("free", "status"), [(400 * 10**6, "missing"), (5 * 10**9, "note"), (50 * 10**9, "ok")])
def test_disk(monkeypatch, tmp_path, free, status):
    monkeypatch.setattr(doctor, "free_bytes", lambda folder: free)
    assert doctor.look_at_disk(tmp_path).status == status


def test_small_memory_and_one_core_are_notes(monkeypatch):
    monkeypatch.setattr(doctor, "memory_bytes", lambda: 2 * 10**9)
    monkeypatch.setattr(doctor, "num_cores", lambda: 1)
    assert doctor.look_at_memory().status == "note"
    assert doctor.look_at_processor().status == "note"
    assert doctor.look_at_processor().found.startswith("1 core of ")


def test_what_deepspeed_lacks_to_build_is_named(monkeypatch):
    monkeypatch.setattr(doctor.shutil, "which", lambda name: "/usr/bin/g++" if name == "g++" else None)
    finding = doctor.look_at_compiler()
    assert finding.status == "note"
    assert "no ninja" in finding.found
    assert "C++" not in finding.found
    assert "pip install ninja" in finding.action


def _declare(monkeypatch, lines):
    monkeypatch.setattr(doctor.importlib.metadata, "requires", lambda name: lines)


def test_declared_packages_are_checked(monkeypatch):
    _declare(monkeypatch, ["orjson>=3.10", "no-such-package>=1", 'only-there>=1; sys_platform == "win32"'])
    finding = doctor.look_at_packages()
    assert (finding.status, finding.found) == ("missing", "not installed: no-such-package")
    _declare(monkeypatch, ["orjson>=3.10", "pydantic"])
    assert doctor.look_at_packages().found == "all 2 installed"


def test_extras_are_optional(monkeypatch):
    _declare(monkeypatch, ["orjson", 'pytest>=8; extra == "dev"', "no-such-package ; extra == 'cloud'"])
    finding = doctor.look_at_extras()
    assert (finding.status, finding.found) == ("ok", "dev is there, cloud lacks no-such-package")
    assert finding.action == "where you want them: pip install 'llmforge[cloud]'"


def test_a_checkout_that_is_not_installed_is_said(monkeypatch):
    def absent(name):
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(doctor.importlib.metadata, "requires", absent)
    assert doctor.look_at_packages().action == "pip install -e ."
    assert doctor.look_at_extras().found == "none are recorded"


def test_the_last_line_is_the_answer():
    assert probe.ask_python("print('[INFO] a log line'); print('{\"a\": 1}')", 20) == {"a": 1}


@pytest.mark.parametrize(
    ("code", "error"),
    [
        ("import no_such_module", "ModuleNotFoundError: No module named 'no_such_module'"),
        ("import os; os._exit(3)", "ended with status 3"),
        ("print('no json')", r"no answer in 'no json\n'"),
        ("print('[1]')", r"no answer in '[1]\n'"),
        ("pass", "no answer in ''"),
    ],
)
def test_a_child_that_gives_no_answer_is_an_error(code, error):
    assert probe.ask_python(code, 20) == {"error": error}


def test_a_child_that_hangs_is_ended():
    assert probe.ask_python("import time; time.sleep(60)", 0.3) == {"error": "no answer within 0 s"}


def test_deepspeed_that_kills_its_child_does_not_hide_torch(monkeypatch):
    monkeypatch.setattr(probe, "_TORCH", "import json; answer = {'torch': {'version': '2'}}\n")
    monkeypatch.setattr(probe, "_DEEPSPEED", "import os; os._exit(3)\n")
    assert probe.ask_libraries(20) == ({"version": "2"}, {"error": "ended with status 3"})


def test_deepspeed_that_cannot_be_imported_is_named(monkeypatch):
    monkeypatch.setattr(probe, "_TORCH", "import json, sys; sys.modules['deepspeed'] = None; answer = {'torch': {}}\n")
    torch, deepspeed = probe.ask_libraries(20)
    assert torch == {}
    assert deepspeed["error"].startswith("ModuleNotFoundError")
