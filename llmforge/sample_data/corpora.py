"""The corpora: what each is, and the function that writes it and counts its documents."""

from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import zstandard

from llmforge.sample_data.crawl import crawl_pydoc
from llmforge.sample_data.crowd import batch_results
from llmforge.sample_data.evaluation import evaluation_items
from llmforge.sample_data.library import docstrings, language_reference, library_files
from llmforge.sample_data.warc import compress, write_warc

# So that several workers have files to share.
_PAGES_PER_FILE = 40
_CRAWL = {
    "software": "llmforge sample-data",
    "format": "WARC File Format 1.1",
    "description": "pydoc's documentation site, crawled over loopback; install paths, build, platform, object "
    "addresses, port and times are left out or fixed",
}


def _write_web(folder: Path) -> int:
    documents = 0
    with closing(crawl_pydoc()) as pages:
        while batch := list(islice(pages, _PAGES_PER_FILE)):
            write_warc(folder / f"pydoc-{documents // _PAGES_PER_FILE:05d}.warc.gz", _CRAWL, batch)
            documents += len(batch)
    return documents


def _write_code(folder: Path) -> int:
    files = library_files()
    for relative, source in files:
        target = folder / relative
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(source.read_bytes())
    return len(files)


def _write_text(folder: Path) -> int:
    sections = language_reference()
    for label, text in sections.items():
        (folder / f"{label}.txt").write_bytes(text.encode())
    return len(sections)


def _write_docs(folder: Path) -> int:
    """Modules and classes in gzip, functions in zstd: the two compressions that such files come in."""
    found = [entry for relative, path in library_files() for entry in docstrings(relative, path.read_bytes())]
    functions = b"".join(entry.to_json() for entry in found if entry.kind == "function")
    others = b"".join(entry.to_json() for entry in found if entry.kind != "function")
    (folder / "modules-and-classes.jsonl.gz").write_bytes(compress(others))
    (folder / "functions.jsonl.zst").write_bytes(zstandard.ZstdCompressor(write_checksum=True).compress(functions))
    return len(found)


def _write_crowd(folder: Path) -> int:
    results = batch_results()
    (folder / "batch_results.csv").write_bytes(results)
    return results.count(b"\n") - 1


def _write_evaluation(folder: Path) -> int:
    items = evaluation_items()
    (folder / "items.jsonl").write_bytes(b"".join(items))
    return len(items)


@dataclass(frozen=True, slots=True)
class Recipe:
    """How a corpus is made: `write` fills a folder and returns the number of documents."""

    path: str
    what: str
    license: str
    write: Callable[[Path], int]


_PYTHON = "PSF-2.0"
_OWN = "Apache-2.0"

CORPORA = {
    "web": Recipe("web/*.warc.gz", "documentation site that pydoc serves, crawled over loopback", _PYTHON, _write_web),
    "code": Recipe("code/**/*.py", "source of Python's standard library", _PYTHON, _write_code),
    "text": Recipe("text/*.txt", "sections of Python's language reference", _PYTHON, _write_text),
    "docs": Recipe("docs/*.jsonl.*", "docstrings of Python's standard library", _PYTHON, _write_docs),
    "crowd": Recipe("crowd/*.csv", "a sample: crowd-work answers, written for the purpose", _OWN, _write_crowd),
    "evaluation": Recipe(
        "evaluation/*.jsonl", "a sample: questions, some quoting the language reference", _OWN, _write_evaluation
    ),
}
