"""Readers by name, imported when asked for, and how `type: auto` chooses one."""

from collections import Counter
from collections.abc import Sequence
from importlib import import_module

from llmforge.core.compression import read_chunks
from llmforge.core.errors import InputError
from llmforge.curate.readers.items import Reader
from llmforge.curate.remote import read_head
from llmforge.pipeline.inputs import InputFile

READERS = {
    "warc": "llmforge.curate.readers.warc",
    "jsonl": "llmforge.curate.readers.jsonl",
    "parquet": "llmforge.curate.readers.parquet",
    "csv": "llmforge.curate.readers.csv",
    "crowd_csv": "llmforge.curate.readers.crowd_csv",
    "text": "llmforge.curate.readers.text",
    "latex": "llmforge.curate.readers.latex",
    "markdown": "llmforge.curate.readers.markdown",
    "code": "llmforge.curate.readers.code",
    "huggingface": "llmforge.curate.readers.huggingface",
}
_DATA = ("warc", "jsonl", "parquet", "csv")
_LOOSE = ("text", "latex", "code")
_HEADER_BYTES = 1 << 16


def find_reader(name: str) -> Reader:
    """The reader of a source type."""
    reader: Reader = import_module(READERS[name]).READER
    return reader


def choose_type(path: str, files: Sequence[InputFile]) -> tuple[str, str]:
    """Which type `auto` stands for, and the reason: the one whose files are the largest part (bytes).

    Raises: InputError if no reader knows the names, or data files of several kinds lie side by side.
    """
    endings = {kind: find_reader(kind).endings for kind in (*_DATA, *_LOOSE)}
    by_ending: dict[str, Counter[str]] = {kind: Counter() for kind in endings}
    for file in files:
        for kind, known in endings.items():
            if ending := next((one for one in known if file.path.name.lower().endswith(one)), None):
                by_ending[kind][ending] += file.num_bytes + 1  # an empty file has an ending too
    sizes = {kind: found.total() for kind, found in by_ending.items()}
    if not any(sizes.values()):
        raise InputError(
            f"{path}: no reader knows the endings of its {len(files)} files",
            f"name the `type` of the source: {', '.join(READERS)}",
        )
    chosen = max(sizes, key=lambda kind: sizes[kind])
    data = [kind for kind in _DATA if sizes[kind]]
    if chosen in _DATA and len(data) > 1:
        raise InputError(
            f"{path}: data files of several kinds side by side ({', '.join(data)})",
            "name one source for each kind, with its `type`",
        )
    if chosen == "csv" and (named := _find_crowd_result(files, endings["csv"])):
        return "crowd_csv", f"the header of {named} names HITs and answers"
    largest = [ending for ending, _ in by_ending[chosen].most_common(3)]
    return chosen, f"files that end in {' or '.join(largest)} hold most of the bytes"


def _find_crowd_result(files: Sequence[InputFile], endings: tuple[str, ...]) -> str | None:
    """The name of the first table, if it is a result of crowd work by its columns."""
    first = next(file for file in files if file.path.name.lower().endswith(endings))
    head = read_head(first, _HEADER_BYTES) if first.url else next(iter(read_chunks(first.path)), b"")
    header = head.split(b"\n")[0].lower() if isinstance(head, bytes) else b""
    return first.path.name if b"hitid" in header and b"answer." in header else None
