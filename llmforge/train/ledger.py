"""The ledger: every time a run did something else than take its next step (fall-backs, horizons, divergence)."""

from pathlib import Path
from typing import Any

from llmforge.core.files import to_json


class Ledger:
    """Appends one JSON object an event; only rank 0 writes.

    Args:
        path: train/ledger.jsonl.
        writes: whether this rank writes.
    """

    def __init__(self, path: Path, *, writes: bool) -> None:
        self._path, self._writes = path, writes

    def add(self, event: str, step: int, **facts: Any) -> None:
        """Note an event at a step (count of steps taken)."""
        if self._writes:
            with open(self._path, "ab") as file:
                file.write(to_json({"event": event, "step": step, **facts}) + b"\n")
