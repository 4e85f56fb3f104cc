"""The folder of the sample: refused if it holds anything else, built beside, published by a rename."""

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from llmforge.core import log
from llmforge.core.errors import InputError, MachineError, SettingsError
from llmforge.core.files import read_json

MANIFEST = "sample-data.json"
_ELSEWHERE = "name another folder, or move this one away"


def earlier_sample(folder: Path, corpora: tuple[str, ...]) -> dict[str, Any] | None:
    """The manifest of the sample that `folder` holds; None if the folder is missing or empty.

    Raises: InputError if it is no folder, or holds anything that `sample-data` did not write.
    """
    if not folder.exists():
        return None
    if not folder.is_dir():
        raise InputError(f"{folder}: not a folder", _ELSEWHERE)
    names = {path.name for path in folder.iterdir()}
    if not names:
        return None
    if MANIFEST not in names:
        raise InputError(f"{folder}: not empty, and not made by llmforge sample-data", _ELSEWHERE)
    manifest = read_json(folder / MANIFEST)
    if not {"identity", "corpora"} <= set(manifest):
        raise InputError(f"{folder / MANIFEST}: not a manifest of llmforge sample-data", _ELSEWHERE)
    foreign = sorted(names - {MANIFEST, *corpora})
    changed = [name for name, fields in manifest["corpora"].items() if not _is_intact(folder / name, fields)]
    if foreign or changed:
        raise InputError(
            f"{folder}: changed since llmforge sample-data made it ({', '.join(foreign + changed)})", _ELSEWHERE
        )
    return manifest


def _is_intact(folder: Path, fields: dict[str, Any]) -> bool:
    return folder.is_dir() and measure(folder) == (fields["files"], fields["bytes"])


def measure(folder: Path) -> tuple[int, int]:
    """Number of files below `folder`, and their size (bytes)."""
    sizes = [path.stat().st_size for path in folder.rglob("*") if path.is_file()]
    return len(sizes), sum(sizes)


@contextmanager
def built_beside(folder: Path) -> Iterator[Path]:
    """An empty folder that takes the name `folder` when the block ends, and vanishes if it fails.

    Raises: SettingsError if it is the current folder; MachineError if another process is building it, or the place
        cannot be written.
    """
    if folder == Path.cwd():
        # The rename would leave the caller's shell in a folder that is gone.
        raise SettingsError(f"{folder}: is the current folder", "name a new folder in it, such as sample-data")
    partial = folder.with_name(f".{folder.name}.partial")
    try:
        partial.mkdir(parents=True, exist_ok=True)
        with _only_writer(partial, folder):
            _clear(partial)
            try:
                yield partial
                _publish(partial, folder)
            except BaseException:
                shutil.rmtree(partial, ignore_errors=True)
                raise
    except OSError as error:
        raise MachineError(
            f"{folder}: cannot be written ({error.strerror or error})",
            "name a folder that you may write to, on a disk with 50 MB free",
        ) from error


@contextmanager
def _only_writer(partial: Path, folder: Path) -> Iterator[None]:
    """Hold the folder under construction; a killed holder leaves no lock behind."""
    descriptor = os.open(partial, os.O_RDONLY)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise MachineError(f"{folder}: another process is making it", "wait for it to end") from error
        yield
    finally:
        os.close(descriptor)


def _clear(folder: Path) -> None:
    """Remove what a killed process left."""
    for path in folder.iterdir():
        shutil.rmtree(path) if path.is_dir() else path.unlink()


def _publish(partial: Path, folder: Path) -> None:
    """Give the finished folder its name; an earlier sample steps aside first and goes afterwards."""
    old = folder.with_name(f".{folder.name}.old")
    shutil.rmtree(old, ignore_errors=True)
    if folder.exists() and any(folder.iterdir()):
        log.say(f"{folder}: replacing the sample of another version")
        os.rename(folder, old)
    os.rename(partial, folder)
    shutil.rmtree(old, ignore_errors=True)
