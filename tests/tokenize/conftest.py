"""A small corpus with two sources, groups of near-duplicates and an empty document, and the stage run over it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from llmforge.config.schema import Settings
from llmforge.core.documents import Document, document_id
from llmforge.pipeline.build import BuildOptions, Built, build_stage
from llmforge.tokenize.stage import TOKENIZE

WORDS = (
    "the river runs past old mills and new towns while 42 herons watch café tables 東京 the crowd isn't loud".split()
)


def make_document(source: str, place: int, component: str | None = None) -> Document:
    text = " ".join(WORDS[(place * step) % len(WORDS)] for step in range(1, 30 + place % 7)) + f" number {place}.\n"
    meta = {"dedup": {"component": component}} if component else {}
    return Document(document_id(source, str(place), text), text, source, f"https://{source}.example/{place}", meta)


@pytest.fixture(scope="session")
def documents() -> list[Document]:
    """120 documents in components of three, and one without text."""
    made = [make_document("web" if place % 2 else "books", place, f"group {place // 3}") for place in range(120)]
    return [*made, Document("e" * 32, "", "web")]


@pytest.fixture
def corpus(tmp_path: Path, documents: list[Document]) -> Path:
    """The documents in three files."""
    folder = tmp_path / "corpus"
    folder.mkdir()
    for number in range(3):
        lines = [document.to_json() + b"\n" for document in documents[number::3]]
        (folder / f"part{number}.jsonl").write_bytes(b"".join(lines))
    return folder


@pytest.fixture
def tokenize(tmp_path: Path) -> Callable[..., Built]:
    """Run the stage: tokenize(data, workers=1, name="run", vocab_size=400, ...)."""

    def build(data: Path | None, workers: int = 1, name: str = "run", **section: Any) -> Built:
        section = {"vocab_size": 400, "val_fraction": 0.2, "data": str(data) if data else None} | section
        settings = Settings.model_validate(
            {"run": {"dir": str(tmp_path), "name": name, "workers": workers}, "tokenize": section}
        )
        return build_stage(TOKENIZE, settings, tmp_path / name, BuildOptions())

    return build
