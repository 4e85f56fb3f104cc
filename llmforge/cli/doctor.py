"""`llmforge doctor`: what this machine has, what that means for llmforge, and what to do."""

import importlib.metadata
import platform
import re
import shutil
import sys
import sysconfig
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import typer

from llmforge.cli.options import Json
from llmforge.cli.output import print_json, print_lines, size
from llmforge.core.errors import MachineError
from llmforge.core.files import free_bytes
from llmforge.core.hardware import memory_bytes, num_cores, processor_name
from llmforge.core.probe import ask_libraries, has_nvidia_driver, processor_flags

Status = Literal["ok", "note", "missing"]
_ANSWER_S = 20.0
_NEEDED_DISK_BYTES = 500 * 10**6
_ROOMY_DISK_BYTES = 20 * 10**9
_ROOMY_MEMORY_BYTES = 4 * 10**9
# Ampere; NVIDIA CUDA C++ Programming Guide, table of arithmetic by compute capability.
_BF16_CAPABILITY = (8, 0)
_BF16_FLAGS = ("amx_bf16", "avx512_bf16", "bf16")


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at.

    `status`: ok; note (works, with a limit); missing (the default pipeline does not run without it).
    `action` says what to do about it, where there is something to do.
    """

    name: str
    status: Status
    found: str
    means: str
    action: str | None = None


def add(app: typer.Typer) -> None:
    """Add the command."""
    app.command("doctor", epilog="Example: llmforge doctor")(doctor)


def doctor(as_json: Json = False) -> None:
    """Say what this machine has and what to do."""
    findings = run_doctor()
    missing = [finding.name for finding in findings if finding.status == "missing"]
    if as_json:
        print_json({"findings": [asdict(finding) for finding in findings], "missing": missing})
    else:
        print_lines(describe(findings))
    if missing:
        raise typer.Exit(MachineError.exit_code)


def describe(findings: list[Finding]) -> list[str]:
    """Findings as lines for people; the words carry the meaning, not a colour."""
    lines = []
    for finding in findings:
        lines.append(f"{finding.status:<8} {finding.name:<13} {finding.found}")
        lines.append(f"{'':<23}{finding.means}")
        if finding.action:
            lines.append(f"{'':<23}do: {finding.action}")
    return lines


def run_doctor() -> list[Finding]:
    """Look at everything; torch and DeepSpeed are asked in a child process."""
    torch, deepspeed = ask_libraries(_ANSWER_S)
    return [
        look_at_python(),
        look_at_packages(),
        look_at_torch(torch),
        look_at_accelerators(torch),
        look_at_precision(torch),
        look_at_processor(),
        look_at_memory(),
        look_at_disk(Path.cwd()),
        look_at_compiler(),
        look_at_deepspeed(deepspeed),
        look_at_extras(),
    ]


def look_at_python() -> Finding:
    """Which Python this is; its version was checked when llmforge was installed."""
    found = f"{platform.python_version()} at {sys.executable}"
    return Finding("python", "ok", found, f"llmforge runs on {platform.system()} {platform.machine()}")


def look_at_packages() -> Finding:
    """Whether every package that llmforge declares is installed."""
    declared = declared_packages()
    if declared is None:
        return Finding(
            "packages", "note", "llmforge runs from a checkout", "what it needs is not recorded", "pip install -e ."
        )
    names = declared[""]
    absent = [name for name in names if not _is_installed(name)]
    if absent:
        means = "the default pipeline needs them"
        return Finding("packages", "missing", f"not installed: {', '.join(absent)}", means, "pip install llmforge")
    return Finding("packages", "ok", f"all {len(names)} installed", "the default pipeline has what it needs")


def look_at_extras() -> Finding:
    """Which optional extras of llmforge are installed."""
    declared = declared_packages() or {}
    extras = {extra: [name for name in names if not _is_installed(name)] for extra, names in declared.items() if extra}
    if not extras:
        return Finding("extras", "ok", "none are recorded", "nothing optional is needed")
    found = ", ".join(
        f"{extra} {'lacks ' + ', '.join(absent) if absent else 'is there'}" for extra, absent in extras.items()
    )
    absent_extras = ",".join(extra for extra, absent in extras.items() if absent)
    action = f"where you want them: pip install 'llmforge[{absent_extras}]'" if absent_extras else None
    return Finding("extras", "ok", found, "optional; the default pipeline needs none", action)


def look_at_torch(torch: dict[str, Any]) -> Finding:
    """Whether torch can be imported, and what it was built for."""
    if "error" in torch:
        means = "train and generate do not run; the data stages do"
        return Finding("torch", "missing", torch["error"], means, "pip install torch; see https://pytorch.org")
    build = f"CUDA {torch['cuda']}" if torch["cuda"] else f"ROCm {torch['hip']}" if torch["hip"] else "processor only"
    backends = " and ".join(torch["backends"]) or "none"
    return Finding("torch", "ok", f"{torch['version']}, built for {build}", f"between processes: {backends}")


def look_at_accelerators(torch: dict[str, Any]) -> Finding:
    """Which accelerators torch can use, and whether one is there that it cannot."""
    devices = torch.get("devices", [])
    if devices:
        found = "; ".join(f"{device['name']}, {size(device['memory'])}" for device in devices)
        several = f"{len(devices)} processes: llmforge train --nproc {len(devices)}"
        return Finding("accelerators", "ok", found, several if len(devices) > 1 else "training uses it")
    if has_nvidia_driver() and "error" not in torch:
        means = "an NVIDIA driver is there, but this torch finds no device and would train on the processor"
        action = "install a CUDA build of torch (https://pytorch.org), and check nvidia-smi and CUDA_VISIBLE_DEVICES"
        return Finding("accelerators", "note", "none that torch can use", means, action)
    if torch.get("mps"):
        return Finding("accelerators", "note", "Apple GPU (mps)", "llmforge trains on the processor here")
    means = "training runs on the processor: right for models of some millions of parameters"
    return Finding("accelerators", "note", "none", means, "for larger models, a machine with a GPU")


def look_at_precision(torch: dict[str, Any]) -> Finding:
    """Which precisions multiply matrices in hardware."""
    measured = "train.precision auto measures fp32 and bf16 and takes the faster"
    if torch.get("devices"):
        if torch["hip"]:
            return Finding("precision", "ok", "fp32, and bf16 as ROCm gives it", measured)
        lowest = min(tuple(device["capability"]) for device in torch["devices"])
        found = f"compute capability {lowest[0]}.{lowest[1]}"
        if lowest >= _BF16_CAPABILITY:
            return Finding("precision", "ok", f"{found}: fp32, tf32 and bf16 in hardware", measured)
        return Finding("precision", "note", f"{found}: fp32; no bf16 in hardware", "bf16 is slow here")
    flags = [flag for flag in _BF16_FLAGS if flag in processor_flags()]
    if flags:
        return Finding("precision", "ok", f"fp32, and bf16 on the processor ({', '.join(flags)})", measured)
    return Finding("precision", "ok", "fp32", "the processor shows no bf16 in hardware; bf16 is slow here")


def look_at_processor() -> Finding:
    """Cores that llmforge may use."""
    cores = num_cores()
    found = f"{cores} core{'s' if cores > 1 else ''} of {processor_name()}"
    if cores == 1:
        return Finding("processor", "note", found, "the data stages run one shard at a time")
    return Finding("processor", "ok", found, f"the data stages run {cores} shards at a time (--workers)")


def look_at_memory() -> Finding:
    """Memory that llmforge may use."""
    total = memory_bytes()
    if total < _ROOMY_MEMORY_BYTES:
        means = "enough for the demo; a larger model may not fit"
        return Finding("memory", "note", size(total), means, "use --workers 1 if a stage is killed")
    return Finding("memory", "ok", size(total), "the data stages stream; training says at --dry-run what it needs")


def look_at_disk(folder: Path) -> Finding:
    """Disk space where runs are written."""
    free = free_bytes(folder)
    found = f"{size(free)} free at {folder}"
    if free < _NEEDED_DISK_BYTES:
        means = f"the demo needs {size(_NEEDED_DISK_BYTES)}"
        return Finding("disk", "missing", found, means, "free space, or set run.dir to another disk")
    if free < _ROOMY_DISK_BYTES:
        means = "enough for the demo; a larger corpus is held three times (curate, dedup, tokenize)"
        return Finding("disk", "note", found, means, "set run.dir to another disk for larger runs")
    return Finding("disk", "ok", found, "a corpus is held three times (curate, dedup, tokenize)")


def look_at_compiler() -> Finding:
    """What DeepSpeed needs to build its operators at their first use."""
    compiler = next((path for path in map(shutil.which, ("c++", "g++", "clang++")) if path), None)
    parts: dict[str, tuple[object, str]] = {
        "C++ compiler": (compiler, "apt install g++"),
        "ninja": (shutil.which("ninja"), "pip install ninja, and activate the environment that it is in"),
        "Python.h": (Path(sysconfig.get_path("include"), "Python.h").exists(), "apt install python3-dev"),
    }
    absent = {name: action for name, (there, action) in parts.items() if not there}
    if absent:
        means = "DeepSpeed cannot build its operators (zero1, zero2, zero3); every other strategy works"
        return Finding("compiler", "note", f"no {', no '.join(absent)}", means, "; ".join(absent.values()))
    return Finding("compiler", "ok", f"{compiler}, ninja, Python.h", "DeepSpeed can build its operators")


def look_at_deepspeed(deepspeed: dict[str, Any]) -> Finding:
    """Whether DeepSpeed can be imported."""
    if "error" in deepspeed:
        means = "zero1, zero2 and zero3 do not run; every other strategy does"
        action = "pip install deepspeed" if platform.system() == "Linux" else "DeepSpeed needs Linux"
        return Finding("deepspeed", "note", deepspeed["error"], means, action)
    return Finding("deepspeed", "ok", deepspeed["version"], "zero1, zero2 and zero3 can run")


def declared_packages() -> dict[str, list[str]] | None:
    """Packages that llmforge's own metadata names, by extra ("" for the needed ones); None if it is not installed."""
    try:
        lines = importlib.metadata.requires("llmforge") or []
    except importlib.metadata.PackageNotFoundError:
        return None
    declared: dict[str, list[str]] = {"": []}
    for line in lines:
        if "sys_platform" in line and sys.platform not in line:
            continue
        extra = re.search(r"extra == ['\"]([\w-]+)['\"]", line)
        name = re.match(r"[\w.-]+", line)
        if name:
            declared.setdefault(extra[1] if extra else "", []).append(name[0])
    return declared


def _is_installed(package: str) -> bool:
    try:
        importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return False
    return True
