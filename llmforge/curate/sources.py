"""From the sources of the settings to files, and from files to shards."""

import glob
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from llmforge.config.curate import CurateSection, SourceSection
from llmforge.config.filters.evaluation import DecontaminateSection
from llmforge.core import log
from llmforge.core.errors import InputError, SettingsError
from llmforge.core.hashing import hash_file
from llmforge.curate.filters.evaluation_sets import find_sets
from llmforge.curate.readers.checkout import find_repository_license
from llmforge.curate.readers.items import ContentKind
from llmforge.curate.readers.presets import find_preset
from llmforge.curate.readers.table import choose_type, find_reader
from llmforge.curate.remote import find_remote_files, is_url, local_path
from llmforge.pipeline.document_files import find_files, to_input
from llmforge.pipeline.inputs import InputFile, Inputs
from llmforge.pipeline.stage import Shard

_SHARD_BYTES = 16 << 20
_ROWS = ("jsonl", "parquet", "csv", "huggingface")
_DATASET_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")


@dataclass(frozen=True)
class Source:
    """A source with its name, the type that `auto` stands for, and where its files stand in the inputs."""

    name: str
    type: str
    kind: ContentKind
    section: SourceSection
    first: int
    end: int


def find_inputs(settings: CurateSection) -> Inputs:
    """The files of all sources, in the order of the settings and of their locators.

    Raises: SettingsError if there is no source or two have one name; InputError if a source has no file.
    """
    if not settings.sources:
        raise SettingsError("curate.sources: no source", "name one: `--data PATH`, or a list under curate.sources")
    files: list[InputFile] = []
    sections: list[tuple[str, dict[str, Any]]] = []
    for name, section in zip(name_sources(settings.sources), settings.sources, strict=True):
        if is_dataset(section):
            sections.append((name, {"dataset": section.path, "revision": section.revision or "newest"}))
        else:
            found = _find_source_files(name, section)
            files += found
            if licenses := _licenses(found, section):
                sections.append((f"{name}: repositories", licenses))
    return Inputs(files=tuple(files), sections=(*sections, *_evaluation_sets(settings)))


def _licenses(files: list[InputFile], section: SourceSection) -> dict[str, Any]:
    """Licences of the repositories of a source of code: they are read from files that are no documents."""
    if _type_of(section, files)[0] != "code":
        return {}
    found = {file.locator.rpartition("/")[0]: find_repository_license(file) for file in files if not file.url}
    return {folder: name for folder, name in found.items() if name is not None}


def _evaluation_sets(settings: CurateSection) -> list[tuple[str, dict[str, Any]]]:
    """What the sets hold that documents are decontaminated against."""
    places = [rule.against for rule in settings.rules if isinstance(rule, DecontaminateSection)]
    return [("evaluation sets", {file.locator: hash_file(file.path) for file in find_sets(one)}) for one in places]


def resolve_sources(settings: CurateSection, inputs: Inputs) -> Iterator[Source]:
    """Each source, in the order of the settings."""
    hub = dict(inputs.sections)
    end = 0
    for name, section in zip(name_sources(settings.sources), settings.sources, strict=True):
        first = end
        while end < len(inputs.files) and inputs.files[end].source == name:
            end += 1
        chosen = "huggingface" if name in hub else _type_of(section, inputs.files[first:end])[0]
        yield Source(name, chosen, _kind_of(section, chosen), section, first, end)


def plan_shards(settings: CurateSection, inputs: Inputs) -> tuple[Shard, ...]:
    """Shards of one source each: a large file alone, small ones together up to 16 MB.

    A source with a limit is one shard, so that the limit means its first documents for any number of workers.
    """
    shards: list[Shard] = []
    for place, source in enumerate(resolve_sources(settings, inputs)):
        for start, stop in _group(inputs.files, source):
            work = {"source": source.name, "place": place, "type": source.type, "kind": source.kind}
            work |= {"first": start, "end": stop}
            num_bytes = sum(file.num_bytes for file in inputs.files[start:stop])
            shards.append(Shard(len(shards), f"{source.name} {len(shards):05d}", work, num_bytes))
    return tuple(shards)


def name_sources(sections: tuple[SourceSection, ...]) -> list[str]:
    """The names of the sources: as given, or from the path; a derived name that is taken gets a number.

    Raises: SettingsError if a name is given twice.
    """
    given = [section.name for section in sections if section.name is not None]
    if twice := sorted({name for name in given if given.count(name) > 1}):
        raise SettingsError(f"curate.sources: the name {twice[0]!r} is given twice", "give each source its own name")
    names: list[str] = []
    for section in sections:
        name = section.name or _derive_name(section.path)
        number = 2
        while section.name is None and (name in names or name in given):
            name = f"{_derive_name(section.path)}-{number}"
            number += 1
        names.append(name)
    return names


def is_dataset(section: SourceSection) -> bool:
    """Whether the path is no path here, but the name of a Hugging Face data set.

    Where the folder that a path would lie in is there, it is a path that is misspelt.
    """
    if section.type == "huggingface":
        return True
    return section.type == "auto" and _may_be_dataset(section.path) and not Path(section.path).parent.exists()


def _may_be_dataset(path: str) -> bool:
    return bool(_DATASET_ID.fullmatch(path)) and not Path(path).exists()


def _find_source_files(name: str, section: SourceSection) -> list[InputFile]:
    """The files of a source that its reader knows."""
    if _may_be_dataset(section.path):
        raise InputError(
            f"{section.path}: no such file or folder",
            "check the path; a Hugging Face data set says `type: huggingface`",
        )
    found = _list_files(name, section.path)
    if not found:
        raise InputError(f"{section.path}: no file in this folder", "hidden files and links in it are left out")
    chosen, reason = _type_of(section, found)
    reader = find_reader(chosen)
    # A file that is named itself is of the type that the settings say, whatever its name is.
    is_named = len(found) == 1 and found[0].locator == _last_part(section.path)
    files = found if is_named else reader.choose(found)
    if not files:
        raise InputError(
            f"{section.path}: none of its {len(found)} files is of type {chosen}",
            f"a folder's {chosen} files end in {', '.join(reader.endings[:8])}",
        )
    others = f"; {len(found) - len(files)} other files are left out" if len(found) > len(files) else ""
    if section.type == "auto" or others:
        log.decided(f"source {name}", f"{len(files)} files of type {chosen}", reason + others)
    return files


def _last_part(path: str) -> str:
    """A file's own name; of a chain such as `zip://inside::https://host/outside.zip`, that of the inner one."""
    return (path.partition("::")[0] if is_url(path) else path).rstrip("/").rpartition("/")[2]


def _list_files(name: str, path: str) -> list[InputFile]:
    path = local_path(path)
    if is_url(path):
        return find_remote_files(path, name)
    base, found = find_files(path)
    return [to_input(file, base, name) for file in found]


def _type_of(section: SourceSection, files: Sequence[InputFile]) -> tuple[str, str]:
    if section.type != "auto":
        return section.type, "the settings say so"
    return choose_type(section.path, files)


def _kind_of(section: SourceSection, chosen: str) -> ContentKind:
    """What the texts of a source are: as its data set's layout says, or its reader."""
    preset = find_preset(section)
    return preset.kind if preset is not None and chosen in _ROWS else find_reader(chosen).kind


def _group(files: tuple[InputFile, ...], source: Source) -> Iterator[tuple[int, int]]:
    """Runs of neighbouring files of a source, each up to the size of a shard; all in one where it has a limit."""
    start, num_bytes = source.first, 0
    for place in range(source.first, source.end):
        is_full = num_bytes + files[place].num_bytes > _SHARD_BYTES and source.section.limit is None
        if is_full and place > start:
            yield start, place
            start, num_bytes = place, 0
        num_bytes += files[place].num_bytes
    yield start, source.end


def _derive_name(path: str) -> str:
    """A name from a path: the folder's or file's own, without endings; of a pattern, its folder's."""
    path = local_path(path.rpartition("::")[2] if is_url(path) else path)
    if is_url(path):
        place = urlsplit(path)
        path = place.path.split("*")[0].rstrip("/") or place.netloc
    elif glob.has_magic(path) and not Path(path).exists():
        base, _ = find_files(path)
        path = str(base)
    name = Path(path).name or Path(path).resolve().name
    if _may_be_dataset(path):
        name = path
    stem = name if Path(path).is_dir() else name.split(".")[0]
    return re.sub(r"[^A-Za-z0-9._-]+", "-", stem).strip("-.") or "source"
