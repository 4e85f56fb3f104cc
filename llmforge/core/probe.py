"""Asking a heavy library about this machine in a child process, so that the asker imports nothing."""

import json
import platform
import subprocess
import sys
from pathlib import Path
from typing import Any

_TORCH = """
import json, torch
import torch.distributed as dist
devices = []
for index in range(torch.cuda.device_count()):
    facts = torch.cuda.get_device_properties(index)
    devices.append({"name": facts.name, "memory": facts.total_memory, "capability": [facts.major, facts.minor]})
answer = {"torch": {
    "version": torch.__version__,
    "cuda": torch.version.cuda,
    "hip": torch.version.hip,
    "devices": devices,
    "mps": torch.backends.mps.is_available(),
    "backends": [name for name in ("gloo", "nccl") if dist.is_available() and dist.is_backend_available(name)],
}}
"""
_DEEPSPEED = """
try:
    import deepspeed
    answer["deepspeed"] = {"version": deepspeed.__version__}
except Exception as error:
    answer["deepspeed"] = {"error": f"{type(error).__name__}: {error}"}
"""
_ANSWER = "print(json.dumps(answer))"


def ask_libraries(timeout_s: float) -> tuple[dict[str, Any], dict[str, Any]]:
    """What torch and DeepSpeed say of themselves and of this machine.

    Args:
        timeout_s: after which a child is ended (seconds).
    Returns: torch's answer (version, cuda, hip, devices, mps, backends) and DeepSpeed's (version); in the place of an
        answer, `{"error": why there is none}`.
    """
    # Both in one child: DeepSpeed imports torch anyway.
    both = ask_python(_TORCH + _DEEPSPEED + _ANSWER, timeout_s)
    if "error" not in both:
        return both["torch"], both["deepspeed"]
    # It may have been DeepSpeed that ended the child.
    alone = ask_python(_TORCH + _ANSWER, timeout_s)
    return alone.get("torch", alone), both


def ask_python(code: str, timeout_s: float) -> dict[str, Any]:
    """What `code` prints as JSON on its last line, run by this Python in a child.

    Args:
        code: Python source.
        timeout_s: after which the child is ended (seconds).
    Returns: the JSON object, or `{"error": the last thing that the child said}`.
    """
    try:
        child = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, timeout=timeout_s, check=False
        )
    except subprocess.TimeoutExpired:
        return {"error": f"no answer within {timeout_s:.0f} s"}
    if child.returncode != 0:
        said = child.stderr.strip().splitlines()
        return {"error": said[-1] if said else f"ended with status {child.returncode}"}
    try:
        # Libraries log to stdout as well; the answer comes last.
        answer = json.loads(child.stdout.strip().splitlines()[-1])
    except (IndexError, ValueError):
        return {"error": f"no answer in {child.stdout[-200:]!r}"}
    return answer if isinstance(answer, dict) else {"error": f"no answer in {child.stdout[-200:]!r}"}


def processor_flags() -> frozenset[str]:
    """Instruction set extensions of the processor, as Linux names them; empty elsewhere."""
    try:
        text = Path("/proc/cpuinfo").read_text()
    except OSError:
        return frozenset()
    lines = [line.split(":", 1)[1] for line in text.splitlines() if line.startswith(("flags", "Features"))]
    return frozenset(lines[0].split()) if lines else frozenset()


def has_nvidia_driver() -> bool:
    """Whether the operating system shows an NVIDIA device, whatever torch was built for."""
    return platform.system() == "Linux" and Path("/proc/driver/nvidia/version").exists()


def gpu_memory_bytes() -> int | None:
    """Memory of this machine's smallest NVIDIA GPU, asked of its driver (bytes); None if that has no answer."""
    command = ["nvidia-smi", "--query-gpu=memory.total", "--format=csv,noheader,nounits"]
    try:
        answer = subprocess.run(command, capture_output=True, text=True, timeout=10, check=True).stdout.split()
        return min(int(mebibytes) for mebibytes in answer) * 2**20
    except (OSError, ValueError, subprocess.SubprocessError):
        return None
