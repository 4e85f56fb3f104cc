"""Settings that name a file which a rule reads: a list of words or addresses, a model.

A place is a path, or `package:NAME/path/inside` for a file that an installed package carries. What counts for the
identity of a stage is what the file holds, not where it stands.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

from pydantic import BaseModel, Field


class NamedFile(NamedTuple):
    """A file that the settings of a rule name, and where one gets such a file."""

    setting: str
    place: str
    source: str


def file_setting(default: Any, source: str, description: str, **constraints: Any) -> Any:
    """A field that holds one place, several (a tuple) or none; `source` says where one gets such a file."""
    extra: Any = {"execution": True, "file_source": source}
    return Field(default, json_schema_extra=extra, description=description, **constraints)


def named_files(section: BaseModel) -> Iterator[NamedFile]:
    """Every file that a rule's settings name."""
    for name, field in type(section).model_fields.items():
        extra = field.json_schema_extra
        if isinstance(extra, dict) and "file_source" in extra:
            value = getattr(section, name)
            for place in (value,) if isinstance(value, str) else value or ():
                yield NamedFile(name, place, str(extra["file_source"]))
