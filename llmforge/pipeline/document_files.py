"""Documents from files that never saw curate: what `dedup --data` and `tokenize --data` read."""

import glob
import os
import stat
from collections.abc import Iterator
from itertools import takewhile
from pathlib import Path
from typing import Any

from llmforge.core.documents import Document, document_id
from llmforge.core.errors import InputError
from llmforge.core.jsonl import is_jsonl, read_jsonl
from llmforge.core.parquet import is_parquet, read_parquet
from llmforge.core.records import BadRecord, Record, find_text
from llmforge.pipeline.inputs import InputFile

_DOCUMENT_KEYS = {"id", "text", "source", "url", "meta"}
_META_STRING_CHARS = 1000


def find_files(path: str) -> tuple[Path, list[Path]]:
    """Regular files of a file, a folder or a glob, sorted by their path below the common folder.

    Symbolic links inside a folder are not followed, a file is taken once, and hidden files are left out.

    Returns: the folder that locators are relative to, and the files.
    Raises: InputError if nothing is there, or something that was named is no regular file.
    """
    named = Path(path)
    if named.is_dir():
        return named, _walk(named)
    if glob.has_magic(path) and not named.exists():
        found = [Path(name) for name in sorted(glob.glob(path, recursive=True))]
        base = before_magic(named)
        # A pattern follows links: what it finds behind one is a second sight of a file, or lies somewhere else.
        files = [file for file in found if not file.is_dir() and not _is_link(file, base)]
        if not files:
            links = f" ({len(found)} links and folders, which a pattern does not follow)" if found else ""
            raise InputError(f"{path}: no file matches{links}", "check the pattern, and where it is relative to")
        return base, [_require_regular(file) for file in _once(files)]
    if not named.exists():
        raise InputError(f"{path}: no such file or folder", "check the path, and where it is relative to")
    return named.parent, [_require_regular(named)]


def find_document_files(data: str) -> tuple[InputFile, ...]:
    """JSON-lines and Parquet files of a file, a folder or a glob, sorted by locator.

    Raises: InputError if there is none.
    """
    base, files = find_files(data)
    source = Path(data).name.split(".")[0] if not glob.has_magic(data) else base.name
    chosen = [file for file in files if is_jsonl(file) or is_parquet(file)]
    if not chosen:
        raise InputError(
            f"{data}: no JSON-lines or Parquet file among {len(files)} files",
            "endings known here: .jsonl, .ndjson, .json (with .gz, .zst, .bz2 or .xz) and .parquet",
        )
    return tuple(to_input(file, base, source or "data") for file in chosen)


def to_input(file: Path, base: Path, source: str) -> InputFile:
    """A file as an input, its locator relative to `base`; bytes of a name that are no UTF-8 are spelled out in it."""
    locator = file.relative_to(base).as_posix().encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    return InputFile(file, source, locator, file.stat().st_size)


def read_document_file(file: InputFile, *, column: str | None, max_record_bytes: int) -> Iterator[Document | BadRecord]:
    """Documents of a JSON-lines or Parquet file.

    A line that llmforge wrote stays as it is, with its id, source, URL and metadata.

    Args:
        file: what `find_document_files` found.
        column: the key of the text; None: the first of text, content, raw_content.
        max_record_bytes: a larger record is bad.
    Raises: InputError if a Parquet file has no such column.
    """
    if is_parquet(file.path):
        records = read_parquet(file.path, max_record_bytes=max_record_bytes, column=column)
    else:
        records = read_jsonl(file.path, max_record_bytes=max_record_bytes)
    for record in records:
        yield to_document(record, file.source, file.locator, column) if isinstance(record, Record) else record


def to_document(record: Record, source: str, locator: str, column: str | None) -> Document | BadRecord:
    """A record as a document: its text, URL, and short plain values as metadata."""
    found = find_text(record, column)
    if isinstance(found, BadRecord):
        return found
    text, key = found
    values = record.values
    if key == "text" and _is_own(values):
        return Document(values["id"], text, values["source"], values["url"], values["meta"])
    url = values.get("url")
    meta = _plain_values({name: value for name, value in values.items() if name not in (key, "url")})
    identity = document_id(source, f"{locator}#{record.number}", text)
    return Document(identity, text, source, url if isinstance(url, str) else "", meta)


def _is_own(values: dict[str, Any]) -> bool:
    """Whether llmforge wrote this line."""
    return (
        values.keys() == _DOCUMENT_KEYS
        and all(isinstance(values[key], str) for key in ("id", "source", "url"))
        and isinstance(values["meta"], dict)
    )


def _plain_values(values: dict[str, Any]) -> dict[str, Any]:
    """What is worth keeping beside the text: numbers, truths and short strings, and a `meta` object's own ones."""
    nested = values.get("meta")
    plain = _plain_values(nested) if isinstance(nested, dict) else {}
    for name, value in values.items():
        is_short = isinstance(value, str) and len(value) <= _META_STRING_CHARS
        if is_short or isinstance(value, bool | int | float):
            plain[name] = value
    return plain


def _walk(folder: Path) -> list[Path]:
    """Regular files below a folder, links not followed, hidden ones left out, sorted by path."""
    files = []
    for parent, folders, names in os.walk(folder, followlinks=False):
        folders[:] = [name for name in folders if not name.startswith(".")]
        files += [Path(parent, name) for name in names if not name.startswith(".")]
    regular = [file for file in files if stat.S_ISREG(file.lstat().st_mode)]
    return _once(sorted(regular, key=lambda file: file.relative_to(folder).as_posix()))


def _once(files: list[Path]) -> list[Path]:
    """Each file once, however many names it has (hard links, overlapping patterns)."""
    unique: dict[tuple[int, int], Path] = {}
    for file in files:
        facts = file.stat()
        unique.setdefault((facts.st_dev, facts.st_ino), file)
    return list(unique.values())


def _require_regular(file: Path) -> Path:
    if not stat.S_ISREG(file.stat().st_mode):
        raise InputError(f"{file}: not a regular file", "give a file or a folder of files")
    return file


def before_magic(path: Path) -> Path:
    """The folder that a pattern starts from; a path without a pattern is its own."""
    return Path(*takewhile(lambda part: not glob.has_magic(part), path.parts))


def _is_link(file: Path, base: Path) -> bool:
    """Whether the file, or a folder between `base` and it, is a symbolic link."""
    parts = file.relative_to(base).parts
    return any(base.joinpath(*parts[: end + 1]).is_symlink() for end in range(len(parts)))
