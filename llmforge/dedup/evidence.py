"""The evidence of a removal: the document that went beside the one that stays, with what differs marked."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from difflib import SequenceMatcher
from pathlib import Path
from typing import Any

from llmforge.core.errors import InputError
from llmforge.core.shards import read_objects
from llmforge.pipeline.manifest import read_manifest

_WORDS = re.compile(r"^\s+|\S+\s*")
_MAX_WORDS = 4000  # matching takes the square of this


@dataclass(frozen=True)
class Removal:
    """A line of `removed/`, and the kept document that it names."""

    removed: dict[str, Any]
    kept: dict[str, Any]


@dataclass(frozen=True)
class Part:
    """A run of a text: in both documents, or in this one only."""

    text: str
    differs: bool


def read_removals(folder: Path, limit: int, method: str | None = None) -> Iterator[Removal]:
    """The first removals of a dedup artifact with their keepers, in shard order.

    Args:
        folder: the artifact, `runs/<run>/dedup`.
        limit: removals at most (count).
        method: exact, url or minhash; None: both.
    Raises: InputError if there is no finished artifact, or a keeper is not where the removal says.
    """
    read_manifest(folder)  # a folder without one would look like one from which nothing was removed
    removals = _first_removals(folder, limit, method)
    kept: dict[tuple[Path, str], dict[str, Any]] = {}
    for path in sorted({_shard_of_keeper(folder, removed) for removed in removals}):
        wanted = {removed["kept_id"] for removed in removals if _shard_of_keeper(folder, removed) == path}
        for document in read_objects(path):
            if document["id"] in wanted:
                kept.setdefault((path, document["id"]), document)
    for removed in removals:
        keeper = kept.get((_shard_of_keeper(folder, removed), removed["kept_id"]))
        if keeper is None:
            raise InputError(
                f"{folder}: document {removed['id']} was removed in favour of {removed['kept_id']}, "
                f"which is not in data shard {removed['kept_shard']:05d}",
                "the artifact is damaged; rebuild it: llmforge dedup --force",
            )
        yield Removal(removed, keeper)


def mark_differences(one: str, two: str) -> tuple[list[Part], list[Part]]:
    """Two texts in runs that they share and runs that they do not, word by word; white space alone is no difference.

    Of a long text only the beginning is compared.
    """
    pieces: list[list[str]] = [_WORDS.findall(text)[:_MAX_WORDS] for text in (one, two)]
    words = [[piece.strip() for piece in side] for side in pieces]
    parts: tuple[list[Part], list[Part]] = ([], [])
    for kind, *spans in SequenceMatcher(None, words[0], words[1], autojunk=False).get_opcodes():
        for side, (start, end) in enumerate((spans[:2], spans[2:])):
            if start < end:
                parts[side].append(Part("".join(pieces[side][start:end]), kind != "equal"))
    return parts


def _shard_of_keeper(folder: Path, removed: dict[str, Any]) -> Path:
    """The file that holds the document that stays: of this artifact, or of an earlier one."""
    return Path(removed.get("kept_in") or folder, "data", f"{removed['kept_shard']:05d}.jsonl.zst")


def _first_removals(folder: Path, limit: int, method: str | None) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for path in sorted((folder / "removed").glob("*.jsonl.zst")):
        for removed in read_objects(path):
            if method in (None, removed["method"]):
                found.append(removed)
            if len(found) >= limit:
                return found[:limit]
    return found
