"""Records of JSON-lines files, plain or compressed."""

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson

from llmforge.core.compression import COMPRESSIONS, read_chunks
from llmforge.core.lines import BOM, UTF16_BOMS, split_lines
from llmforge.core.records import BadRecord, Record, damaged_file

JSONL_ENDINGS = tuple(name + packed for name in (".jsonl", ".ndjson", ".json") for packed in ("", *COMPRESSIONS))


def is_jsonl(path: Path) -> bool:
    """Whether the name is one of JSON lines, compressed or not."""
    return path.name.lower().endswith(JSONL_ENDINGS)


def read_jsonl(
    path: Path, *, max_record_bytes: int, measures: Counter[str] | None = None
) -> Iterator[Record | BadRecord]:
    """Objects of a JSON-lines file, plain or compressed."""
    measures = Counter() if measures is None else measures
    number = 0
    for line in split_lines(read_chunks(path, measures), max_record_bytes):
        number += 1
        if isinstance(line, BadRecord):
            yield line
            continue
        data = line.data
        if number == 1 and data.startswith(UTF16_BOMS):
            yield damaged_file("unexpected_encoding", path)
            return
        if number == 1 and data.startswith(BOM):
            measures["byte_order_marks"] += 1
            data = data[len(BOM) :]
        if not data.strip():
            measures["blank_lines"] += 1
            continue
        values = parse_object(data)
        if isinstance(values, str):
            yield BadRecord.of(values, line.offset, line.data)
        else:
            yield Record(values, number, line.offset, len(line.data))
    if number == 0:
        measures["empty_files"] += 1


def parse_object(data: bytes) -> dict[str, Any] | str:
    """One JSON object, or the name of what is wrong with it."""
    try:
        value = orjson.loads(data)
    except orjson.JSONDecodeError as error:
        return _name_json_error(data, error)
    if not isinstance(value, dict):
        return "wrong_type"
    try:
        may_repeat = _may_repeat_a_key(data, value)
    except TypeError:  # orjson reads 1,024 levels and writes 254; no output could hold the record
        return "nesting_too_deep"
    return "duplicate_key" if may_repeat and _repeats_a_key(data) else value


def _may_repeat_a_key(data: bytes, value: dict[str, Any]) -> bool:
    """Whether quotation marks got lost on the way, as they do with a key that stands twice: the last one wins."""
    return data.count(b'"') != orjson.dumps(value).count(b'"')


def _repeats_a_key(data: bytes) -> bool:
    found = False

    def note(pairs: list[tuple[str, Any]]) -> None:
        nonlocal found
        found = found or len(pairs) != len({name for name, _ in pairs})

    try:
        json.loads(data, object_pairs_hook=note)
    except (RecursionError, ValueError):  # nesting and numbers that this slower reader does not take
        return False
    return found


def _name_json_error(data: bytes, error: json.JSONDecodeError) -> str:
    """Which rule of JSON is broken; orjson says it in words and by place."""
    try:
        text = data.decode()
    except UnicodeDecodeError:
        return "invalid_utf8"
    words = str(error)
    if "surrogate" in words:
        return "lone_surrogate"
    if "depth" in words or "ecursion" in words:
        return "nesting_too_deep"
    if "infinity when parsed" in words or "out of range" in words:
        return "bad_number"
    if text[error.pos :].startswith(("NaN", "Infinity")):
        return "nan_literal"
    return "bad_json"
