"""One writer per run folder: a lock that dies with its process."""

import fcntl
import os
import platform
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from llmforge.core.errors import MachineError
from llmforge.core.files import check_writable

LOCK = ".lock"


@contextmanager
def run_lock(run_folder: Path) -> Iterator[None]:
    """Hold the run folder against a second writer.

    Raises: MachineError naming process, machine and start time if another run holds it, or if the folder is
        not writable. A killed holder leaves no lock behind.
    """
    check_writable(run_folder)
    with open(run_folder / LOCK, "a+", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            file.seek(0)
            holder = file.read().strip() or "another process"
            raise MachineError(
                f"{run_folder}: in use by {holder}",
                "wait for it, or give this run another name: --set run.name=...",
            ) from error
        file.truncate(0)
        started = time.strftime("%Y-%m-%d %H:%M:%S")
        file.write(f"process {os.getpid()} on {platform.node()}, since {started}\n")
        file.flush()
        yield
