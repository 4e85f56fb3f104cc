"""What is wrong with a set of values, in words: what, where, which value, what is allowed, the nearest key."""

import difflib
import types
import typing
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

Path_ = tuple[str | int, ...]


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong: at which path, what, and a hint."""

    path: Path_
    what: str
    hint: str | None = None


def dotted(path: Path_) -> str:
    """A path as it is written in --set: curate.sources.0.path."""
    return ".".join(map(str, path))


def find_problems(error: ValidationError, root: type[BaseModel]) -> list[Problem]:
    """Every problem of a failed validation, one for each value.

    A value that fits none of a union's members makes pydantic report each member; the members are put together.
    """
    by_path: dict[Path_, list[ErrorDetails]] = {}
    for details in error.errors():
        by_path.setdefault(_real_path(details["loc"], root), []).append(details)
    return [_describe(path, details, root) for path, details in by_path.items()]


def _real_path(location: Path_, root: type[BaseModel]) -> Path_:
    """The location without the names of union members that pydantic mixes in."""
    path: list[str | int] = []
    models: list[type[BaseModel]] = [root]
    for part in location:
        if isinstance(part, int):
            path.append(part)
            continue
        fields = [model.model_fields[part] for model in models if part in model.model_fields]
        if fields:
            path.append(part)
            models = [found for field in fields for found in models_in(field.annotation)]
        elif part == location[-1] and models and not _is_member_name(part):
            path.append(part)
    return tuple(path)


def _is_member_name(part: str) -> bool:
    return part in {"int", "float", "str", "bool", "none"} or part.startswith(("literal[", "tuple[", "constrained"))


def models_in(annotation: Any) -> list[type[BaseModel]]:
    """The settings models that an annotation can hold (in unions, tuples, annotated types)."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    if isinstance(annotation, types.UnionType) or typing.get_origin(annotation) is not None:
        return [model for argument in typing.get_args(annotation) for model in models_in(argument)]
    return []


def model_at(path: Path_, root: type[BaseModel]) -> list[type[BaseModel]]:
    """The models that can stand at a path; empty if no model can."""
    models = [root]
    for part in path:
        if isinstance(part, str):
            models = [
                found
                for model in models
                if part in model.model_fields
                for found in models_in(model.model_fields[part].annotation)
            ]
    return models


def nearest(word: str, allowed: list[str]) -> str | None:
    """A hint that names the allowed word nearest to the one given, if one is near."""
    matches = difflib.get_close_matches(word, allowed, n=1, cutoff=0.6)
    return f"did you mean `{matches[0]}`?" if matches else None


def _describe(path: Path_, details: list[ErrorDetails], root: type[BaseModel]) -> Problem:
    first = details[0]
    if first["type"] == "extra_forbidden":
        models = _tagged(model_at(path[:-1], root), first["loc"])
        allowed = sorted({name for model in models for name in model.model_fields})
        what = f"unknown key; got `{dotted(path)}`, allowed {', '.join(allowed)}"
        return Problem(path, what, nearest(str(path[-1]), allowed))
    if first["type"] == "missing":
        return Problem(path, f"`{dotted(path)}` is missing")
    wishes = " or ".join(dict.fromkeys(wish(item) for item in details))
    what = f"`{dotted(path)}` does not fit; got {_shown(first['input'])}, allowed {wishes}"
    return Problem(path, what, _hint(first))


def _tagged(models: list[type[BaseModel]], location: Path_) -> list[type[BaseModel]]:
    """Of a union's models the one whose name for itself stands in the location; all if there is none."""
    found = [
        model
        for model in models
        for field in model.model_fields.values()
        if typing.get_origin(field.annotation) is typing.Literal
        and set(typing.get_args(field.annotation)) & {*location}
    ]
    return found if len(models) > 1 and found else models


def _shown(value: Any) -> str:
    text = repr(list(value)) if isinstance(value, tuple) else repr(value)
    return text if len(text) <= 80 else text[:77] + "..."


def _hint(details: ErrorDetails) -> str | None:
    context = details.get("ctx", {})
    if details["type"] == "literal_error" and isinstance(details["input"], str):
        words = [word.strip(" '") for word in context["expected"].replace(" or ", ",").split(",")]
        return nearest(details["input"], words)
    if details["type"] == "union_tag_invalid":
        return nearest(context["tag"], [word.strip(" '") for word in context["expected_tags"].split(",")])
    return None


_WISHES: dict[str, Callable[[dict[str, Any]], str]] = {
    "literal_error": lambda context: str(context["expected"]),
    "union_tag_invalid": lambda context: f"{context['discriminator'][1:-1]} {context['expected_tags']}",
    "union_tag_not_found": lambda context: f"a section with {context['discriminator']}",
    "greater_than": lambda context: f"more than {context['gt']}",
    "greater_than_equal": lambda context: f"at least {context['ge']}",
    "less_than": lambda context: f"less than {context['lt']}",
    "less_than_equal": lambda context: f"at most {context['le']}",
    "string_pattern_mismatch": lambda context: f"text of the form {context['pattern']}",
    "int_type": lambda _: "a whole number",
    "int_from_float": lambda _: "a whole number",
    "float_type": lambda _: "a number",
    "finite_number": lambda _: "a finite number",
    "string_type": lambda _: "text",
    "bool_type": lambda _: "true or false",
    "none_required": lambda _: "null",
    "tuple_type": lambda _: "a list",
    "dict_type": lambda _: "a section of keys",
    "model_type": lambda _: "a section of keys",
    "model_attributes_type": lambda _: "a section of keys",
}


def wish(details: ErrorDetails) -> str:
    """What would have been allowed, in words."""
    in_words = _WISHES.get(details["type"])
    return in_words(details.get("ctx", {})) if in_words else details["msg"].removeprefix("Value error, ")
