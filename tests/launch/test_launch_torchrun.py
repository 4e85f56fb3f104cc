"""The launcher: its command line, its signals, and the outcome that it reads from disk."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from llmforge.core.errors import DivergedError, InputError, LlmforgeError, MachineError, Preempted
from llmforge.launch.torchrun import conclude, rank_environment, run_and_wait, torchrun_command
from llmforge.train.status import RUN_LOCK_HELD, Failure, Status, StatusFolder


@pytest.fixture
def status(tmp_path: Path) -> StatusFolder:
    return StatusFolder(tmp_path)


def test_the_command_line_of_torchrun() -> None:
    command = torchrun_command(["-c", "run.yaml", "--strategy", "ddp"], 2)
    assert command[0] == sys.executable
    assert command[1:] == [
        "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2",
        "-m", "llmforge", "train", "-c", "run.yaml", "--strategy", "ddp",
    ]  # fmt: skip


def test_ranks_share_the_cores_and_know_who_holds_the_lock() -> None:
    environment = rank_environment(3, {"PATH": "/bin", "OMP_NUM_THREADS": "64"})
    assert environment == {
        "PATH": "/bin",
        "OMP_NUM_THREADS": "3",
        RUN_LOCK_HELD: str(os.getpid()),
        "TORCH_DISABLE_SHARE_RDZV_TCP_STORE": "1",
    }


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1])
def test_a_signal_becomes_a_request_in_a_file(tmp_path: Path, status: StatusFolder, number: signal.Signals) -> None:
    code = f"import pathlib, time\nwhile not pathlib.Path({str(tmp_path / 'stop')!r}).exists(): time.sleep(0.01)"
    threading.Timer(0.2, os.kill, (os.getpid(), number)).start()
    assert run_and_wait([sys.executable, "-c", code], os.environ, status) == 0


def test_an_interrupt_ends_the_launcher(status: StatusFolder) -> None:
    threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGINT)).start()
    start_s = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        run_and_wait([sys.executable, "-c", "import time; time.sleep(60)"], os.environ, status)
    assert time.monotonic() - start_s < 15


def test_a_killed_launcher_is_an_exit_code(status: StatusFolder) -> None:
    code = "import os, signal; os.kill(os.getpid(), signal.SIGKILL)"
    assert run_and_wait([sys.executable, "-c", code], os.environ, status) == -signal.SIGKILL


def test_success_needs_both_the_state_and_the_exit_code(status: StatusFolder) -> None:
    status.write(Status(state="finished"))
    conclude(status, 0)
    with pytest.raises(MachineError, match=r"died without a word \(killed, or out of memory\)"):
        conclude(status, 1)
    status.clear()
    with pytest.raises(MachineError, match="died without a word"):
        conclude(status, 0)


def test_preempted_is_told_with_its_exit_code(status: StatusFolder) -> None:
    status.write(Status(state="preempted", message="stopped after step 6", hint="again", exit_code=75))
    status.ask_to_stop()
    with pytest.raises(Preempted, match="stopped after step 6") as error:
        conclude(status, 1)
    assert error.value.exit_code == 75
    assert not status.stop_asked()


@pytest.mark.parametrize(
    ("cause", "code"), [(InputError("a shard is gone"), 3), (DivergedError("loss nan"), 5), (ZeroDivisionError("x"), 1)]
)
def test_the_rank_that_failed_first_speaks(status: StatusFolder, cause: Exception, code: int) -> None:
    lost = Failure.of(0, RuntimeError("gloo: Connection reset by peer"))
    status.write(Status(state="failed", message=lost.message, exit_code=1))
    status.fail(lost)
    status.fail(Failure.of(1, cause))
    with pytest.raises(LlmforgeError, match=f"rank 1: .*{cause}") as error:
        conclude(status, 1)
    assert error.value.exit_code == code


def test_a_rank_that_only_lost_the_others_is_no_cause(status: StatusFolder) -> None:
    status.fail(Failure.of(0, RuntimeError("gloo: Connection reset by peer")))
    with pytest.raises(MachineError, match=r"died without a word.*; rank 0 saw: RuntimeError: gloo") as error:
        conclude(status, 1)
    assert "goes on from the last checkpoint" in str(error.value)


def test_a_rank_ends_when_its_launcher_is_gone() -> None:
    launcher = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    code = "\n".join(
        [
            "import time",
            "from llmforge.train.guards import end_with_launcher",
            "end_with_launcher()",
            "print('watching', flush=True)",
            "time.sleep(60)",
        ]
    )
    rank = subprocess.Popen(
        [sys.executable, "-c", code],
        env={**os.environ, RUN_LOCK_HELD: str(launcher.pid)},
        cwd=Path(__file__).parents[2],
        stdout=subprocess.PIPE,
    )
    assert rank.stdout is not None
    rank.stdout.readline()
    launcher.kill()
    launcher.wait()
    try:
        assert rank.wait(timeout=20) == 1
    finally:
        rank.kill()
        rank.communicate()
