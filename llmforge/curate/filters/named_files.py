"""Files that the settings of a rule name, by path or inside an installed package: found, read and known by content."""

import gzip
from collections.abc import Iterable
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from llmforge.config.filters.files import named_files
from llmforge.core.errors import InputError
from llmforge.core.hashing import hash_file

_PACKAGE = "package:"


def check_files(rules: Iterable[Any]) -> tuple[tuple[str, dict[str, Any]], ...]:
    """The contents of every file that the rules name, as hashes under the rule and the setting.

    Raises: InputError if one is missing, saying where to get it.
    """
    found = []
    for limits in rules:
        hashes: dict[str, list[str]] = {}
        for named in named_files(limits):
            hashes.setdefault(named.setting, []).append(hash_file(find_file(limits, named.place)))
        if hashes:
            found.append((f"curate.filters {limits.rule}", dict(hashes)))
    return tuple(found)


def find_file(limits: BaseModel, place: str) -> Path:
    """Where the file of a place lies.

    Raises: InputError if there is none, naming the rule and the setting, and where to get such a file.
    """
    path = _in_package(place) if place.startswith(_PACKAGE) else Path(place)
    if path is not None and path.is_file():
        return path
    named = next(named for named in named_files(limits) if named.place == place)
    rule = getattr(limits, "rule", "rule")
    package = place.removeprefix(_PACKAGE).partition("/")[0]
    is_absent = place.startswith(_PACKAGE) and path is None
    hint = f"pip install {package}, or name a file of your own" if is_absent else f"where to get one: {named.source}"
    raise InputError(f"{rule}.{named.setting}: no file {place}", hint)


def read_entries(limits: BaseModel, places: Iterable[str]) -> frozenset[str]:
    """The entries of lists, one a line, in small letters; what follows `# ` at the start of a line is a comment.

    Raises: InputError if a list is missing, or empty.
    """
    entries: frozenset[str] = frozenset()
    for place in places:
        path = find_file(limits, place)
        found = _read(path, path.stat().st_mtime_ns)
        if not found:
            raise InputError(f"{place}: the list holds no entry", "a list has one entry a line")
        entries |= found
    return entries


@lru_cache(maxsize=64)
def _read(path: Path, _changed: int) -> frozenset[str]:
    data = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    lines = (line.strip().lower() for line in data.decode("utf-8", "replace").splitlines())
    return frozenset(line for line in lines if line and not line.startswith("# "))


def _in_package(place: str) -> Path | None:
    """The path of package:NAME/path/inside; the package is not imported."""
    name, _, inside = place.removeprefix(_PACKAGE).partition("/")
    spec = find_spec(name) if name.isidentifier() else None
    folders = spec.submodule_search_locations if spec else None
    return Path(next(iter(folders))) / inside if folders else None
