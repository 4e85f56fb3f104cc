"""Evaluation sets: which files they are, and the passages of their items that are looked for.

Items come in every shape: the passages of an item are its texts, and each of its prompts with each of its answers,
because that is how a leaked item stands in a text. Numbers, labels and names of fields are none.
"""

import re
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any

from llmforge.core.errors import InputError
from llmforge.core.jsonl import is_jsonl, read_jsonl
from llmforge.core.parquet import read_parquet
from llmforge.core.records import Record
from llmforge.pipeline.document_files import find_document_files
from llmforge.pipeline.inputs import InputFile

_PROMPTS = (
    "context",
    "context_options",
    "passage",
    "query",
    "question",
    "prompt",
    "goal",
    "sentence",
    "ctx",
    "problem",
)
_ANSWERS = (
    "continuation",
    "choices",
    "options",
    "endings",
    "answer",
    "completion",
    "target",
    "sol1",
    "sol2",
    "solution",
)
_LABELS = re.compile(r"\A\s*(?:question|problem|passage|context|q)\s*:\s*|\s*(?:answer|a)\s*:\s*\Z", re.IGNORECASE)
_MAX_ITEM_BYTES = 1 << 20
_COLUMNS = (*_PROMPTS, *_ANSWERS, "text", "content")


def find_sets(against: tuple[str, ...]) -> list[InputFile]:
    """The files of all evaluation sets, each once.

    Raises: InputError if a path holds none.
    """
    files = {file.path.resolve(): file for place in against for file in find_document_files(place)}
    return list(files.values())


def read_items(file: InputFile) -> Iterator[tuple[str, list[str]]]:
    """Each item's name (`arc_easy.jsonl.gz#12`) and its passages.

    Raises: InputError if a line is no item: what cannot be read cannot be looked for.
    """
    for record in _read(file.path):
        if not isinstance(record, Record):
            raise InputError(
                f"{file.path}: {record.error} at {record.offset:,}: {record.sample[:80]}", "mend the evaluation set"
            )
        yield f"{file.path.name}#{record.number}", _passages(record.values)


def _read(path: Path) -> Iterator[Any]:
    if is_jsonl(path):
        return read_jsonl(path, max_record_bytes=_MAX_ITEM_BYTES)
    import pyarrow.parquet

    names = pyarrow.parquet.read_schema(path).names
    text = next((name for name in _COLUMNS if name in names), names[0])
    return read_parquet(path, max_record_bytes=_MAX_ITEM_BYTES, column=text, nested=tuple(names))


def _passages(values: dict[str, Any]) -> list[str]:
    texts = {name: [_LABELS.sub("", text) for text in _texts(value)] for name, value in values.items()}
    prompts = [text for name in _PROMPTS for text in texts.get(name, ())]
    answers = [text for name in _ANSWERS for text in texts.get(name, ())]
    joined = [f"{prompt} {answer}" for prompt, answer in product(prompts, answers)]
    # An answer by itself is a sentence that anybody may write; with its prompt it is the item.
    alone = [text for name, found in texts.items() for text in found if not (joined and name in _ANSWERS)]
    return list(dict.fromkeys([*joined, *alone]))


def _texts(value: Any) -> Iterator[str]:
    """The strings of a value, those of lists and objects in it among them."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for part in value.values():
            yield from _texts(part)
    elif isinstance(value, list):
        for part in value:
            yield from _texts(part)
