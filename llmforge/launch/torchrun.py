"""Training as several processes of this machine, through torchrun.

torchrun turns every exit code into 1 and answers a signal with a traceback. So a request to stop reaches the ranks
through a file, which they look at once a step, and how the training ended is read from train/status.json.
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import FrameType

from llmforge.config.schema import Settings
from llmforge.core import log
from llmforge.core.errors import (
    DivergedError,
    InputError,
    LlmforgeError,
    MachineError,
    Preempted,
    SettingsError,
)
from llmforge.core.hardware import num_cores
from llmforge.train.folder import TrainFolder
from llmforge.train.stage import find_finished
from llmforge.train.status import RUN_LOCK_HELD, Failure, StatusFolder

_LOOK_EVERY_S = 0.5
_GRACE_S = 10.0
_ERRORS = {error.exit_code: error for error in (SettingsError, InputError, MachineError, DivergedError, Preempted)}


def launch_training(
    settings: Settings,
    config_argv: Sequence[str],
    nproc: int,
    strategy: str,
    *,
    force: bool = False,
    always: bool = False,
) -> int:
    """Train in `nproc` processes, and wait for them; the caller holds the run's lock.

    Args:
        settings: the run's settings.
        config_argv: what `llmforge train` was called with, without `--strategy` and `--nproc`.
        nproc: processes (count).
        strategy: the strategy's name.
        force, always: see `train`.
    Returns: 0; the training is finished.
    Raises: Preempted if it was stopped and saved; otherwise the error of the rank that failed first.
    """
    folder = TrainFolder(settings.run_folder)
    if find_finished(settings, folder, force=force, always=always) is not None:
        return 0
    folder.status.clear()
    command = torchrun_command([*config_argv, "--strategy", strategy], nproc)
    log.detail(" ".join(command))
    threads = settings.train.threads or max(1, num_cores() // nproc)
    exit_code = run_and_wait(command, rank_environment(threads), folder.status)
    conclude(folder.status, exit_code)
    return 0


def torchrun_command(train_argv: Sequence[str], nproc: int) -> list[str]:
    """The command line that starts `llmforge train` in `nproc` processes, with the interpreter that runs now."""
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={nproc}"]
    return [*torchrun, "-m", "llmforge", "train", *train_argv]


def rank_environment(threads: int, environment: Mapping[str, str] = os.environ) -> dict[str, str]:
    """The environment of the ranks.

    Args:
        threads: CPU threads of a rank (count).
        environment: what to start from.
    """
    return {
        **environment,
        RUN_LOCK_HELD: str(os.getpid()),
        "OMP_NUM_THREADS": str(threads),
        # Restarted ranks would otherwise read addresses of the attempt before.
        "TORCH_DISABLE_SHARE_RDZV_TCP_STORE": "1",
    }


def run_and_wait(command: Sequence[str], environment: Mapping[str, str], status: StatusFolder) -> int:
    """Run the launcher until it ends; SIGTERM and SIGUSR1 become a request to save and end.

    Returns: its exit code, which says no more than whether all went well.
    """
    with _stop_signals() as asked:
        # In a session of its own, so that the terminal's Ctrl-C comes here first and ends the ranks in order.
        process = subprocess.Popen(command, env=dict(environment), start_new_session=True)
        try:
            while True:
                try:
                    exit_code = process.wait(timeout=_LOOK_EVERY_S)
                    break
                except subprocess.TimeoutExpired:
                    if asked:
                        status.ask_to_stop()
        finally:
            _end(process)
    if exit_code < 0:
        time.sleep(2 * _LOOK_EVERY_S)  # a launcher that was killed left ranks, which now notice and end
    return exit_code


@contextmanager
def _stop_signals() -> Iterator[list[int]]:
    """The stop signals that came so far."""
    asked: list[int] = []

    def note(number: int, _frame: FrameType | None) -> None:
        asked.append(number)

    before = {number: signal.signal(number, note) for number in (signal.SIGTERM, signal.SIGUSR1)}
    try:
        yield asked
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _end(process: subprocess.Popen[bytes]) -> None:
    """End a launcher that still runs because this process was interrupted; it ends its ranks."""
    if process.poll() is not None:
        return
    process.send_signal(signal.SIGINT)
    try:
        process.wait(timeout=_GRACE_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def conclude(status: StatusFolder, exit_code: int) -> None:
    """Turn what the ranks left behind into success or into the error that came first.

    Raises: the error of the first rank that failed by itself; Preempted; MachineError if a rank died without a word.
    """
    ended = status.read()
    status.take_back_stop()
    if ended is not None and ended.state == "finished" and exit_code == 0:
        return
    if ended is not None and ended.state == "preempted":
        raise Preempted(ended.message, ended.hint)
    failure = status.first_failure()
    if failure is None or failure.consequence:
        raise MachineError(
            f"a training process died without a word (killed, or out of memory){_seen_by(failure)}",
            "the same command goes on from the last checkpoint; a lower train.micro_batch_sequences takes less memory",
        )
    raise _ERRORS.get(failure.exit_code, LlmforgeError)(f"rank {failure.rank}: {failure.message}", failure.hint)


def _seen_by(failure: Failure | None) -> str:
    return "" if failure is None else f"; rank {failure.rank} saw: {failure.message}"
