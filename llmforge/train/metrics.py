"""metrics.jsonl: one object a logged step. A resumed run's file equals an undisturbed one's but for the times."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, BinaryIO

import orjson

from llmforge.core.files import to_json, write_bytes
from llmforge.train.mirrors import Mirror


class MetricsFile:
    """Appends to metrics.jsonl.

    Lines after the resumed step are cut away first: the steps they tell of are taken again.

    Args:
        path: where the lines are.
        resumed_step: steps that the resumed checkpoint has behind it (count); 0 for a fresh start.
        mirrors: who is told each line, too.
    """

    def __init__(self, path: Path, resumed_step: int, mirrors: Sequence[Mirror] = ()) -> None:
        cut_after(path, resumed_step)
        self._mirrors = mirrors
        self._file: BinaryIO = open(path, "ab")

    def add(self, values: dict[str, Any]) -> None:
        """Append one line; it survives the death of this process."""
        self._file.write(to_json(values) + b"\n")
        self._file.flush()
        for mirror in self._mirrors:
            mirror.add(values)

    def sync(self) -> None:
        """Make all lines durable; called before a checkpoint is published."""
        os.fsync(self._file.fileno())

    def close(self) -> None:
        """Close the file, and let the mirrors finish."""
        self._file.close()
        for mirror in self._mirrors:
            mirror.close()


def cut_after(path: Path, step: int) -> None:
    """Keep the lines of steps up to `step`; a line that a killed process left half written goes, too."""
    if not path.exists():
        return
    lines = path.read_bytes().splitlines(keepends=True)
    kept = []
    for line in lines:
        if not line.endswith(b"\n") or orjson.loads(line)["step"] > step:
            break
        kept.append(line)
    if len(kept) < len(lines):
        write_bytes(path, b"".join(kept))
