import errno
import os
from pathlib import Path

import pytest

from llmforge.core.errors import InputError, MachineError
from llmforge.core.files import (
    atomic_writer,
    check_writable,
    explain_os_error,
    read_json,
    remove_leftovers,
    write_bytes,
    write_json,
)


def test_a_failed_write_leaves_the_old_file_and_no_leftovers(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    write_bytes(path, b"old")
    with pytest.raises(RuntimeError):
        _write_half(path)
    assert path.read_bytes() == b"old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.txt"]


def _write_half(path: Path) -> None:
    with atomic_writer(path) as file:
        file.write(b"half of the n")
        raise RuntimeError


def test_nothing_has_the_final_name_before_it_is_complete(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "a.txt"
    with atomic_writer(path) as file:
        file.write(b"x")
        assert not path.exists()
    assert path.read_bytes() == b"x"


def test_equal_values_give_equal_bytes(tmp_path: Path) -> None:
    write_json(tmp_path / "a", {"b": 1, "a": [1.5, None]})
    write_json(tmp_path / "b", {"a": [1.5, None], "b": 1})
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    assert read_json(tmp_path / "a") == {"a": [1.5, None], "b": 1}


@pytest.mark.parametrize(
    ("content", "says"), [(b"{", "not readable as JSON"), (b"[1]", "expected a JSON object, found list")]
)
def test_a_damaged_json_file_is_named(tmp_path: Path, content: bytes, says: str) -> None:
    (tmp_path / "m.json").write_bytes(content)
    with pytest.raises(InputError, match=says) as caught:
        read_json(tmp_path / "m.json")
    assert "m.json" in str(caught.value)
    with pytest.raises(InputError, match="no such file"):
        read_json(tmp_path / "absent.json")


def test_leftovers_of_a_killed_process_are_removed(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "0.zst.tmp-123").write_bytes(b"half")
    (tmp_path / "data" / "1.zst").write_bytes(b"whole")
    remove_leftovers(tmp_path)
    assert [path.name for path in (tmp_path / "data").iterdir()] == ["1.zst"]


def test_a_full_disk_is_explained() -> None:
    error = explain_os_error(OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)), Path("x/y"))
    assert isinstance(error, MachineError)
    assert error.exit_code == 4
    assert "x/y: the disk is full" in str(error)
    assert "goes on where it stopped" in str(error)


def test_writing_to_a_full_device_says_so(tmp_path: Path) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("this system has no /dev/full")
    (tmp_path / "a.txt").symlink_to("/dev/full")
    with pytest.raises(MachineError, match="disk is full"):
        raise explain_os_error(_fill(tmp_path / "a.txt"), tmp_path / "a.txt")


def _fill(path: Path) -> OSError:
    try:
        with open(path, "wb", buffering=0) as file:
            file.write(b"x" * 4096)
    except OSError as error:
        return error
    raise AssertionError("a full device took bytes")


def test_a_folder_below_a_file_is_not_writable(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(MachineError, match="not writable"):
        check_writable(tmp_path / "file" / "runs")
