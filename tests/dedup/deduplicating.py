"""Documents for the dedup tests, and what a run of the stage left of them."""

import json
import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from llmforge.core.shards import read_objects
from llmforge.pipeline.manifest import Manifest

Row = dict[str, Any]


@dataclass(frozen=True)
class Result:
    """What a run of the stage left behind."""

    folder: Path
    manifest: Manifest
    kept: list[Row]
    removed: list[Row]

    @property
    def kept_ids(self) -> set[str]:
        return {row["id"] for row in self.kept}

    @property
    def outcome(self) -> tuple[Any, ...]:
        """What must not depend on how the documents came in: who stays, with what, and who goes for whom."""
        kept = sorted(
            (row["id"], row["meta"]["dedup"]["component"], row["meta"]["dedup"]["cluster_size"]) for row in self.kept
        )
        keys = ("id", "kept_id", "method", "similarity", "component")
        return kept, sorted(tuple(row[key] for key in keys) for row in self.removed)


def document(number: int, text: str, source: str = "made", **meta: Any) -> Row:
    """A document as llmforge writes it."""
    return {"id": f"{number:032x}", "text": text, "source": source, "url": "", "meta": meta}


def make_text(draw: random.Random, num_words: int) -> str:
    """A text of words out of a large vocabulary, so that two of them share no shingle."""
    return " ".join(f"w{draw.randrange(50_000)}" for _ in range(num_words))


def edit_text(text: str, num_edits: int, draw: random.Random) -> str:
    """The text with some words replaced."""
    words = text.split(" ")
    for place in draw.sample(range(len(words)), num_edits):
        words[place] = f"x{draw.randrange(50_000)}"
    return " ".join(words)


def make_corpus(seed: int = 0, num_originals: int = 40) -> list[Row]:
    """Documents with copies, chains of edits, and lone ones."""
    draw = random.Random(seed)
    texts = []
    for _ in range(num_originals):
        text = make_text(draw, 120)
        texts.append(text)
        for _ in range(draw.randrange(4)):
            text = edit_text(text, draw.randrange(5), draw)
            texts.append(draw.choice([text, text.upper(), text.replace(" ", "\n")]))
    return [document(number, text, f"source{number % 2}") for number, text in enumerate(texts)]


def write_shards(folder: Path, shards: Sequence[Sequence[Row]]) -> None:
    """Write documents as the files 000.jsonl, 001.jsonl and so on."""
    folder.mkdir(parents=True)
    for number, rows in enumerate(shards):
        lines = "".join(json.dumps(row) + "\n" for row in rows)
        (folder / f"{number:03d}.jsonl").write_text(lines, encoding="utf-8")


def read_result(folder: Path, manifest: Manifest) -> Result:
    """Read an artifact of the stage whole."""
    kept, removed = (
        [row for path in sorted((folder / kind).glob("*")) for row in read_objects(path)]
        for kind in ("data", "removed")
    )
    return Result(folder, manifest, kept, removed)
