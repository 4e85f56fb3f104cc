"""One sample for all tests of this room, and a second one made in other surroundings at the same time."""

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from llmforge.sample_data.make import Corpus, make_sample_data

PLANTED = {
    "SECRET_TOKEN": "hush-4711-planted",
    "USER": "wanda-planted",
    "LOGNAME": "wanda-planted",
    "HOME": "/wanda-planted",
    "LANG": "tr_TR.UTF-8",
    "PYTHONHASHSEED": "77",
    "PYTHONDOCS": "http://hush-4711-planted",
    "TZ": "Asia/Tokyo",
}
_MAKE = "import pathlib; from llmforge.sample_data.make import make_sample_data as make; make(pathlib.Path('out'))"


@dataclass(frozen=True)
class Sample:
    """`folder` was made by this process; `elsewhere` by a child with planted surroundings."""

    folder: Path
    corpora: dict[str, Corpus]
    elsewhere: Path


@pytest.fixture(scope="session")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Sample:
    folder = tmp_path_factory.mktemp("here") / "sample"
    place = tmp_path_factory.mktemp("planted-place")
    child = _make_elsewhere(place)
    try:
        corpora = make_sample_data(folder)
        _, errors = child.communicate(timeout=120)
    finally:
        child.kill()
        child.communicate()
    assert child.returncode == 0, errors
    return Sample(folder, corpora, place / "cwd" / "out")


def _make_elsewhere(place: Path) -> "subprocess.Popen[str]":
    """Make a sample in a child: planted variables, another cwd, TMPDIR and PYTHONPATH, and a module of the user's."""
    for name in ("cwd", "tmp", "extra"):
        (place / name).mkdir()
    # In the way of an import from the current folder; and beside the standard library, where an index would list it.
    (place / "cwd" / "textwrap.py").write_text("raise ImportError('hush-4711-planted')")
    (place / "extra" / "planted_module.py").write_text("TOKEN = 'hush-4711-planted'")
    search_path = os.pathsep.join([str(Path(__file__).parents[2]), str(place / "extra")])
    return subprocess.Popen(
        [sys.executable, "-P", "-c", _MAKE],
        cwd=place / "cwd",
        env={"PATH": os.environ["PATH"], **PLANTED, "TMPDIR": str(place / "tmp"), "PYTHONPATH": search_path},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
