"""The layouts of published data sets: which column holds the text, what kind of text it is, what is worth keeping."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import PurePosixPath
from typing import Any

from llmforge.config.curate import SourceSection
from llmforge.core.documents import Document
from llmforge.curate.readers.items import ContentKind


@dataclass(frozen=True)
class Preset:
    """The layout of one data set.

    Attributes:
        names: under which the hub has it; the last part names a local copy.
        column: holds the text.
        kind: what the text is.
        meta: by name in a document's metadata, the columns that it may come from.
        nested: columns that hold objects or lists.
    """

    names: tuple[str, ...]
    column: str
    kind: ContentKind
    meta: dict[str, tuple[str, ...]]
    nested: tuple[str, ...] = ()


PRESETS = {
    "refinedweb": Preset(
        ("tiiuae/falcon-refinedweb",),
        "content",
        "prose",
        {"crawled": ("timestamp",), "dump": ("dump",)},
        ("timestamp",),
    ),
    "the_pile": Preset(
        ("EleutherAI/pile", "EleutherAI/the_pile", "EleutherAI/the_pile_deduplicated", "monology/pile-uncopyrighted"),
        "text",
        "prose",
        {"subset": ("meta.pile_set_name",)},
        ("meta",),
    ),
    "the_stack": Preset(
        ("bigcode/the-stack", "bigcode/the-stack-dedup", "bigcode/the-stack-smol"),
        "content",
        "code",
        {
            "language": ("lang",),
            "license": ("max_stars_repo_licenses", "licenses"),
            "path": ("max_stars_repo_path", "path"),
            "repository": ("max_stars_repo_name", "repository_name"),
            "stars": ("max_stars_count",),
        },
        ("max_stars_repo_licenses", "licenses"),
    ),
    "mathpile": Preset(
        ("GAIR/MathPile", "GAIR/MathPile_Commercial"),
        "text",
        "maths",
        {"subset": ("SubSet", "subset")},
        ("meta",),
    ),
}


def find_preset(section: SourceSection) -> Preset | None:
    """The layout that a source has by its settings, or by its name; None if it is no known data set."""
    if section.preset is not None:
        return PRESETS[section.preset]
    last = PurePosixPath(section.path).name.lower()
    for preset in PRESETS.values():
        names = {name.lower() for name in preset.names}
        if section.path.lower() in names or last in {name.split("/")[1] for name in names} - {"pile"}:
            return preset
    return None


def note_meta(preset: Preset, values: dict[str, Any], document: Document) -> None:
    """Write what the layout knows of a row into the document's metadata, under the names that rules know."""
    for name, columns in preset.meta.items():
        for value in filter(_has_content, (_look_up(values, column) for column in columns)):
            document.meta[name] = _to_plain(name, value)
            break


def _look_up(values: dict[str, Any], column: str) -> Any:
    first, _, rest = column.partition(".")
    value = values.get(first)
    return value.get(rest) if rest and isinstance(value, dict) else None if rest else value


def _has_content(value: Any) -> bool:
    return value is not None and value != "" and value != []


def _to_plain(name: str, value: Any) -> Any:
    if isinstance(value, date):  # and so any date with a time
        return value.isoformat()
    if isinstance(value, list):  # the licences of a repository hold together
        return " AND ".join(_texts(value))
    return value.lower() if name == "language" else value


def _texts(values: list[Any]) -> Iterator[str]:
    return (str(value) for value in values)
