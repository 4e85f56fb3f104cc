from collections.abc import Callable
from pathlib import Path

import pytest

from llmforge.config.load import load_settings
from llmforge.config.schema import Settings


@pytest.fixture
def lines(tmp_path: Path) -> Path:
    """A folder of five small files."""
    folder = tmp_path / "lines"
    folder.mkdir()
    for number in range(5):
        text = "".join(f"line {line} of file {number}\n" for line in range(40)) + "x" * 2000 + "\n"
        (folder / f"{number}.txt").write_text(text)
    return folder


@pytest.fixture
def settings(tmp_path: Path, lines: Path) -> Callable[..., Settings]:
    """Settings of a toy run, with further --set texts."""

    def make(*sets: str) -> Settings:
        base = [f"run.dir={tmp_path}", "run.workers=1", f"curate.sources=[{{path: {lines}}}]"]
        return load_settings(None, [*base, "curate.max_record_bytes=1024", *sets]).settings

    return make
