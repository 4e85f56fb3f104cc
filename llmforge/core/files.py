"""Writing files whole or not at all, and naming what stands in the way."""

import errno
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import orjson

from llmforge.core.errors import InputError, MachineError

_TEMPORARY = ".tmp-"


def to_json(value: object, *, indent: bool = False) -> bytes:
    """JSON bytes with sorted keys, so that equal values give equal bytes."""
    options = orjson.OPT_SORT_KEYS | (orjson.OPT_INDENT_2 if indent else 0)
    return orjson.dumps(value, option=options)


@contextmanager
def atomic_writer(path: Path, *, durable: bool = True) -> Iterator[BinaryIO]:
    """Open `path` for writing so that it appears complete and durable, or not at all.

    The bytes go to a temporary name (unique to this process), are fsynced, and take the final name last.

    Args:
        path: the file.
        durable: False leaves it to the caller to make the file durable, by `sync_file`.

    Raises: MachineError if the disk is full or the folder is not writable.
    """
    temporary = path.with_name(f"{path.name}{_TEMPORARY}{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(temporary, "wb") as file:
            yield file
            file.flush()
            if durable:
                os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise explain_os_error(error, path) from error
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def write_bytes(path: Path, data: bytes) -> None:
    """Write `data` to `path`, whole or not at all."""
    with atomic_writer(path) as file:
        file.write(data)


def write_json(path: Path, value: object, *, indent: bool = True) -> None:
    """Write `value` as JSON with sorted keys, whole or not at all."""
    write_bytes(path, to_json(value, indent=indent) + b"\n")


def read_json(path: Path) -> dict:  # type: ignore[type-arg]
    """Read one JSON object.

    Raises: InputError if the file is missing, damaged, or not an object.
    """
    try:
        value = orjson.loads(path.read_bytes())
    except FileNotFoundError as error:
        raise InputError(f"{path}: no such file") from error
    except (OSError, orjson.JSONDecodeError) as error:
        raise InputError(f"{path}: not readable as JSON ({error})", "the file is damaged; rebuild it") from error
    if not isinstance(value, dict):
        raise InputError(f"{path}: expected a JSON object, found {type(value).__name__}")
    return value


def sync_file(path: Path) -> None:
    """Make what was written to a file durable.

    Raises: MachineError if the disk is full or fails.
    """
    try:
        _sync(path)
    except OSError as error:
        raise explain_os_error(error, path) from error


def sync_folder(folder: Path) -> None:
    """Make the names in `folder` durable."""
    _sync(folder)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def rename_durably(source: Path, target: Path) -> None:
    """Rename a folder and make the new name durable."""
    os.rename(source, target)
    sync_folder(target.parent)


def remove_leftovers(folder: Path) -> None:
    """Remove temporary files that a killed process left below `folder`."""
    for path in folder.rglob(f"*{_TEMPORARY}*"):
        path.unlink(missing_ok=True)


def check_writable(folder: Path) -> None:
    """Prove that `folder` can be made and written to.

    Raises: MachineError with the reason.
    """
    probe = folder / f"probe{_TEMPORARY}{os.getpid()}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe.write_bytes(b"")
        probe.unlink()
    except OSError as error:
        raise explain_os_error(error, folder) from error


def free_bytes(folder: Path) -> int:
    """Free bytes on the file system that holds `folder` (or its nearest existing parent)."""
    while not folder.exists():
        folder = folder.parent
    return shutil.disk_usage(folder).free


def explain_os_error(error: OSError, path: Path) -> MachineError:
    """Say what an operating-system error means for `path`, and what to do."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return MachineError(
            f"{path}: the disk is full ({error.strerror})",
            "free space, or set run.dir to another disk; the same command then goes on where it stopped",
        )
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EEXIST):
        return MachineError(f"{path}: not writable ({error.strerror})", "set run.dir to a folder that you may write to")
    return MachineError(f"{path}: {error.strerror or error}")
