"""Checkouts of repositories: which files are their own, which repository a file belongs to, under which licence.

What a repository's `.gitignore` files name is no part of it. Its licence is that of the nearest licence file at or
above a file; folders of other people's code are left out whole.
"""

import re
from collections.abc import Iterator
from contextlib import suppress
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import Any

import pathspec

from llmforge.curate.readers.languages import INTERPRETERS, LANGUAGES, NAMED_FILES, TEXTS_AND_DATA, VENDORED_FOLDERS
from llmforge.curate.readers.licenses import find_license_of_text
from llmforge.pipeline.inputs import InputFile

_LICENSE_NAMES = ("license", "licence", "copying", "unlicense")
_LOCKS = ("package-lock.json", "composer.lock", "pnpm-lock.yaml")
_HEAD_BYTES = 1 << 16
# A pattern is matched as a regular expression, whose time grows with the name's length to the power of its stars.
_STARS = re.compile(r"\*+")
_MAX_STARS = 4
_ENDINGS = frozenset({*LANGUAGES, *TEXTS_AND_DATA})


def select_files(files: list[InputFile]) -> list[InputFile]:
    """The files of a folder that are its own source code, by name or, without an ending, by their first line."""
    return [file for file in files if _is_source(file) and not _is_foreign(file)]


def find_repository(file: InputFile) -> str:
    """The repository that a file belongs to, as a path within the source; `.` for the source itself."""
    base, folders = _base_of(file), PurePosixPath(file.locator).parents
    roots = [folder for folder in folders if (base / folder / ".git").exists()]
    if roots:
        return str(roots[0])
    licensed = [folder for folder in folders if _license_in(base / folder) is not None]
    return str(licensed[-1]) if licensed else "."


def find_repository_license(file: InputFile) -> str | None:
    """The SPDX identifier of the licence file nearest to a file, in its folder or above; None if there is none."""
    base = _base_of(file)
    found = (_license_in(base / folder) for folder in PurePosixPath(file.locator).parents)
    return next((name for name in found if name is not None), None)


def _base_of(file: InputFile) -> Path:
    """The folder that the file's locator is relative to."""
    return file.path.parents[len(PurePosixPath(file.locator).parts) - 1]


@lru_cache(maxsize=4096)
def _license_in(folder: Path) -> str | None:
    if not folder.is_dir():
        return None
    for file in sorted(folder.iterdir()):
        if file.name.lower().startswith(_LICENSE_NAMES) and file.is_file() and file.suffix.lower() not in LANGUAGES:
            return find_license_of_text(_read_head(file)) or "unknown"
    return None


def _is_source(file: InputFile) -> bool:
    name = PurePosixPath(file.locator).name.lower()
    if name in NAMED_FILES:
        return True
    ending = PurePosixPath(name).suffix
    if ending:
        return ending in _ENDINGS and name not in _LOCKS
    return not file.url and not name.startswith(_LICENSE_NAMES) and _calls_interpreter(file.path)


def _calls_interpreter(path: Path) -> bool:
    with open(path, "rb") as stream:
        first = stream.readline(200)
    return first.startswith(b"#!") and any(name.encode() in first for name in INTERPRETERS)


def _is_foreign(file: InputFile) -> bool:
    folders = PurePosixPath(file.locator).parts[:-1]
    return not VENDORED_FOLDERS.isdisjoint(folders) or (not file.url and _is_ignored(file))


def _is_ignored(file: InputFile) -> bool:
    """Whether the nearest .gitignore that says anything of the file names it."""
    base, path = _base_of(file), PurePosixPath(file.locator)
    for folder in path.parents:
        rules = _rules_of(base / folder)
        if rules is not None:
            outcome = rules.check_file(str(path.relative_to(folder)))
            if outcome.include is not None:
                return outcome.include
    return False


@lru_cache(maxsize=4096)
def _rules_of(folder: Path) -> pathspec.GitIgnoreSpec | None:
    rules = folder / ".gitignore"
    if not rules.is_file():
        return None
    return pathspec.GitIgnoreSpec([rule for line in _read_head(rules).splitlines() for rule in _parse_rule(line)])


def _parse_rule(line: str) -> Iterator[Any]:
    """The pattern of a line; none if git would pass over it (`!` alone, say), or if it could take hours to match."""
    if len(_STARS.findall(line)) <= _MAX_STARS:
        with suppress(ValueError):
            yield from pathspec.GitIgnoreSpec.from_lines([line]).patterns


def _read_head(file: Path) -> str:
    """The beginning of a file that a stranger wrote, whatever its size."""
    with open(file, "rb") as stream:
        return stream.read(_HEAD_BYTES).decode("utf-8", "replace")
