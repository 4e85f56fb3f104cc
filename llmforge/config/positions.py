"""YAML with YAML-1.2 numbers, no duplicate keys, no aliases, no tags, and the position of every value.

PyYAML alone reads `3e-4` as a string, `010` as 8, `no` as False and `12:30` as 750, and lets the last of two equal
keys win. Here a node tree is composed (nothing is constructed from tags) and turned into plain values.
"""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from llmforge.core.errors import SettingsError

_MAX_DEPTH = 20
_INT = re.compile(r"[-+]?[0-9]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_WORDS = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
    **dict.fromkeys((".inf", ".Inf", ".INF", "+.inf"), float("inf")),
    "-.inf": float("-inf"),
    **dict.fromkeys((".nan", ".NaN", ".NAN"), float("nan")),
}
_TEXT_TAG = "tag:yaml.org,2002:str"

Path_ = tuple[str | int, ...]


@dataclass(frozen=True)
class Mark:
    """Where a value stands: file, line and column, both from 1."""

    file: str
    line: int
    column: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


@dataclass(frozen=True)
class Positioned:
    """A plain value (lists as tuples), and the marks of all its parts by path."""

    value: Any
    marks: dict[Path_, Mark]


def read_yaml(path: Path) -> Positioned:
    """Read a YAML file.

    Raises: SettingsError with file, line and column if it is missing, not YAML, or uses what is refused.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise SettingsError(f"{path}: no such file", "`llmforge init` writes a commented one") from error
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path}: not readable as UTF-8 text ({error})") from error
    return parse_yaml(text, str(path))


def parse_yaml(text: str, name: str) -> Positioned:
    """Read YAML text; `name` is what positions call it.

    Raises: SettingsError as `read_yaml`.
    """
    try:
        _refuse_aliases(text, name)
        node = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = Mark(name, mark.line + 1, mark.column + 1) if mark else name
        raise SettingsError(f"{where}: not YAML: {error.problem}") from error
    except (yaml.YAMLError, RecursionError) as error:
        raise SettingsError(f"{name}: not YAML: {error}") from error
    builder = _Builder(name)
    value = {} if node is None else builder.build(node, (), 0)
    return Positioned(value, builder.marks)


def _refuse_aliases(text: str, name: str) -> None:
    """Anchors and aliases can multiply a few bytes into gigabytes; settings do not need them."""
    for event in yaml.parse(text, Loader=yaml.SafeLoader):
        if isinstance(event, yaml.AliasEvent) and event.start_mark is not None:
            mark = Mark(name, event.start_mark.line + 1, event.start_mark.column + 1)
            raise SettingsError(f"{mark}: aliases are not allowed; got *{event.anchor}", "write the value out")


class _Builder:
    def __init__(self, name: str) -> None:
        self._name = name
        self.marks: dict[Path_, Mark] = {}

    def _mark(self, node: yaml.Node) -> Mark:
        return Mark(self._name, node.start_mark.line + 1, node.start_mark.column + 1)

    def build(self, node: yaml.Node, path: Path_, depth: int) -> Any:
        """The node's value, with the marks of it and its parts noted."""
        mark = self._mark(node)
        self.marks.setdefault(path, mark)
        if depth > _MAX_DEPTH:
            raise SettingsError(f"{mark}: nested more than {_MAX_DEPTH} levels deep")
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, path, depth)
        if isinstance(node, yaml.SequenceNode):
            return tuple(self.build(item, (*path, place), depth + 1) for place, item in enumerate(node.value))
        return self._scalar(node, mark)

    def _mapping(self, node: yaml.MappingNode, path: Path_, depth: int) -> dict[str, Any]:
        values: dict[str, Any] = {}
        for key_node, value_node in node.value:
            key, mark = str(key_node.value), self._mark(key_node)
            if key in values:
                raise SettingsError(f"{mark}: key `{key}` stands twice; first at line {self.marks[(*path, key)].line}")
            self.marks[(*path, key)] = mark
            values[key] = self.build(value_node, (*path, key), depth + 1)
        return values

    def _scalar(self, node: yaml.Node, mark: Mark) -> Any:
        text = str(node.value)
        if node.tag == _TEXT_TAG and getattr(node, "style", None) in ("'", '"', "|", ">"):
            return text
        if node.tag.startswith("!") or "python" in node.tag:
            raise SettingsError(f"{mark}: tags are not allowed; got {node.tag}", "write a plain value")
        return parse_scalar(text)


def parse_scalar(text: str) -> Any:
    """An unquoted scalar by the rules of YAML 1.2's core schema."""
    if text in _WORDS:
        return _WORDS[text]
    if _INT.fullmatch(text) and len(text) <= 40:
        return int(text)
    if _FLOAT.fullmatch(text):
        return float(text)
    return text
