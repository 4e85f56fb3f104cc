"""The folder of the sample: foreign files are safe, and it is whole or not there."""

import errno
import multiprocessing
from pathlib import Path

import pytest

from llmforge.core.errors import InputError, MachineError, SettingsError
from llmforge.sample_data import make
from llmforge.sample_data.corpora import CORPORA, Recipe
from llmforge.sample_data.folder import built_beside


def _one_file(folder: Path) -> int:
    (folder / "a.txt").write_text("one")
    return 1


@pytest.fixture(autouse=True)
def _small(monkeypatch):
    """One corpus of one file in place of the six."""
    monkeypatch.setattr(make, "CORPORA", {"text": Recipe("text/*.txt", "a file", "Apache-2.0", _one_file)})


def test_an_empty_folder_is_filled_and_nothing_stays_beside_it(tmp_path):
    (tmp_path / "sample").mkdir()
    corpora = make.make_sample_data(tmp_path / "sample")
    assert (corpora["text"].documents, corpora["text"].files, corpora["text"].bytes) == (1, 1, 3)
    assert [path.name for path in tmp_path.iterdir()] == ["sample"]


def test_parents_are_made(tmp_path):
    make.make_sample_data(tmp_path / "a" / "b" / "sample")
    assert (tmp_path / "a" / "b" / "sample" / "sample-data.json").exists()


def test_a_folder_of_the_users_is_refused(tmp_path):
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(InputError, match="not empty, and not made by llmforge sample-data") as caught:
        make.make_sample_data(tmp_path)
    assert caught.value.hint == "name another folder, or move this one away"
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_the_current_folder_is_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SettingsError, match="is the current folder") as caught:
        make.make_sample_data(Path("."))
    assert caught.value.hint == "name a new folder in it, such as sample-data"


def test_a_link_to_an_empty_folder_is_followed(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    make.make_sample_data(tmp_path / "link")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real" / "sample-data.json").exists()


def test_a_file_is_refused(tmp_path):
    (tmp_path / "sample").write_text("mine")
    with pytest.raises(InputError, match="sample: not a folder"):
        make.make_sample_data(tmp_path / "sample")


@pytest.mark.parametrize("change", ["text/a.txt", "text/more.txt", "notes.txt"])
def test_a_sample_that_was_changed_is_refused(tmp_path, change):
    make.make_sample_data(tmp_path / "sample")
    (tmp_path / "sample" / change).write_text("by the user")
    with pytest.raises(InputError, match=rf"changed since llmforge sample-data made it \({change.split('/')[0]}\)"):
        make.make_sample_data(tmp_path / "sample")
    assert (tmp_path / "sample" / change).read_text() == "by the user"


def test_a_damaged_manifest_is_an_input_error(tmp_path):
    make.make_sample_data(tmp_path / "sample")
    (tmp_path / "sample" / "sample-data.json").write_text('{"schema": 1}')
    with pytest.raises(InputError, match=r"sample-data\.json: not a manifest of llmforge sample-data"):
        make.make_sample_data(tmp_path / "sample")


def test_an_earlier_version_is_replaced(tmp_path, monkeypatch):
    make.make_sample_data(tmp_path / "sample")
    monkeypatch.setattr(make, "SAMPLE_VERSION", 2)
    monkeypatch.setitem(make.CORPORA, "text", Recipe("text/*", "", "", lambda folder: (folder / "b").write_text("b")))
    make.make_sample_data(tmp_path / "sample")
    assert [path.name for path in (tmp_path / "sample" / "text").iterdir()] == ["b"]
    assert [path.name for path in tmp_path.iterdir()] == ["sample"]


def test_a_full_disk_leaves_nothing_behind(tmp_path, monkeypatch):
    def fill(folder: Path) -> int:
        (folder / "half").write_text("half")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setitem(make.CORPORA, "text", Recipe("text/*", "", "", fill))
    with pytest.raises(MachineError, match=r"sample: cannot be written \(No space left on device\)") as caught:
        make.make_sample_data(tmp_path / "sample")
    assert "50 MB free" in caught.value.hint
    assert list(tmp_path.iterdir()) == []


def test_a_place_that_cannot_be_written_is_a_machine_error(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(MachineError, match=r"sample: cannot be written \(Not a directory\)"):
        make.make_sample_data(tmp_path / "file" / "sample")


def test_what_a_killed_process_left_is_cleared(tmp_path):
    (tmp_path / ".sample.partial" / "web").mkdir(parents=True)
    (tmp_path / ".sample.partial" / "junk").write_text("half")
    make.make_sample_data(tmp_path / "sample")
    assert sorted(path.name for path in (tmp_path / "sample").iterdir()) == ["sample-data.json", "text"]


def _hold(folder: Path, ready, done) -> None:
    with built_beside(folder):
        ready.set()
        done.wait(30)


def test_a_second_process_is_told_of_the_first(tmp_path):
    context = multiprocessing.get_context("spawn")
    ready, done = context.Event(), context.Event()
    process = context.Process(target=_hold, args=(tmp_path / "sample", ready, done))
    process.start()
    try:
        assert ready.wait(30)
        with pytest.raises(MachineError, match="another process is making it"):
            make.make_sample_data(tmp_path / "sample")
        assert (tmp_path / ".sample.partial").exists()
    finally:
        done.set()
        process.join(30)


def test_the_corpora_are_the_six_of_the_manual():
    assert list(CORPORA) == ["web", "code", "text", "docs", "crowd", "evaluation"]
