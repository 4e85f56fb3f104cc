"""From a file, `--set` and flags to settings: every value knows where it came from, every problem is told at once.

Precedence, later wins: defaults < `extends:` < file < `--set a.b=c` < dedicated flags (`--strategy ddp`).
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError

from llmforge.config.positions import Path_, Positioned, parse_scalar, parse_yaml, read_yaml
from llmforge.config.problems import Problem, dotted, find_problems
from llmforge.config.rules import broken_rules
from llmforge.config.schema import Settings
from llmforge.core.errors import SettingsError
from llmforge.core.files import write_bytes

DEFAULT_FILE = "llmforge.yaml"


@dataclass(frozen=True)
class Loaded:
    """Settings, and where each value that is not a default came from, by path."""

    settings: Settings
    origins: dict[Path_, str]


def load_settings(
    file: Path | None, sets: Sequence[str] = (), flags: Mapping[str, tuple[str, Any]] | None = None
) -> Loaded:
    """Resolve the settings of a command.

    Args:
        file: the YAML file; None: `llmforge.yaml` in this folder if it is there, defaults otherwise.
        sets: `a.b=c` texts of --set, in order; values are read as YAML.
        flags: dedicated flags by settings path: {"train.strategy": ("--strategy", "ddp")}.

    Raises: SettingsError with all problems, each with file, line and column and the nearest key.
    """
    values: dict[str, Any] = {}
    origins: dict[Path_, str] = {}
    for layer in _file_layers(file):
        _merge(values, layer.value, (), origins, {path: str(mark) for path, mark in layer.marks.items()})
    for text in sets:
        path, value = _parse_set(text)
        _place(values, path, value, origins, f"--set {text}")
    for name, (flag, value) in (flags or {}).items():
        _place(values, tuple(name.split(".")), value, origins, flag)
    return Loaded(_validate(values, origins), origins)


def _file_layers(file: Path | None) -> Iterator[Positioned]:
    if file is None:
        file = Path(DEFAULT_FILE)
        if not file.exists():
            return
    own = _read_mapping(file)
    base = own.value.pop("extends", None)
    if base is not None:
        if not isinstance(base, str):
            raise SettingsError(f"{own.marks[('extends',)]}: `extends` names one file; got {base!r}")
        below = _read_mapping(file.parent / base)
        if "extends" in below.value:
            raise SettingsError(
                f"{below.marks[('extends',)]}: `extends` goes one level deep", "put the values into one file"
            )
        yield below
    yield own


def _read_mapping(file: Path) -> Positioned:
    read = read_yaml(file)
    if not isinstance(read.value, dict):
        raise SettingsError(f"{file}:1:1: expected sections of keys; got {type(read.value).__name__}")
    return read


def _merge(
    into: dict[str, Any], new: dict[str, Any], path: Path_, origins: dict[Path_, str], marks: dict[Path_, str]
) -> None:
    """Lay `new` over `into`: sections key by key, anything else (a list too) as a whole."""
    for key, value in new.items():
        here = (*path, key)
        if isinstance(value, dict) and isinstance(into.get(key), dict):
            origins[here] = marks[here]
            _merge(into[key], value, here, origins, marks)
        else:
            _forget(origins, here)
            into[key] = value
            origins.update({at: mark for at, mark in marks.items() if at[: len(here)] == here})


def _forget(origins: dict[Path_, str], path: Path_) -> None:
    for known in [known for known in origins if known[: len(path)] == path]:
        del origins[known]


def _parse_set(text: str) -> tuple[Path_, Any]:
    name, separator, value = text.partition("=")
    path = tuple(int(part) if part.isdigit() else part for part in name.strip().split("."))
    if not separator or not all(str(part) for part in path):
        raise SettingsError(
            f"--set {text}: expected a name, an equals sign and a value", "--set train.optimizer.lr=3e-4"
        )
    # Flow lists and sections are YAML; anything else is one scalar, so that a path with a colon stays a text.
    return path, parse_yaml(value, f"--set {text}").value if value.startswith(("[", "{", '"', "'")) else parse_scalar(
        value
    )


def _place(values: dict[str, Any], path: Path_, value: Any, origins: dict[Path_, str], origin: str) -> None:
    """Put a value at a path, opening sections and list items on the way."""
    node: Any = values
    for depth, part in enumerate(path):
        _check_holds(node, part, path[:depth], origin)
        if depth == len(path) - 1:
            node[part] = value
        else:
            node = _open(node, part)
    _forget(origins, path)
    origins[path] = origin


def _open(node: Any, part: str | int) -> Any:
    """The section or list at `part`, in a form that can be written to; made where there is none."""
    child = node[int(part)] if isinstance(node, list) else node.get(part)
    if child is None or isinstance(child, tuple):
        child = node[part] = {} if child is None else list(child)
    return child


def _check_holds(node: Any, part: str | int, path: Path_, origin: str) -> None:
    if isinstance(node, dict) or (isinstance(node, list) and isinstance(part, int) and part < len(node)):
        return
    if isinstance(node, list):
        raise SettingsError(f"{origin}: `{dotted(path)}` has {len(node)} items, counted from 0; got {part!r}")
    raise SettingsError(f"{origin}: `{dotted(path)}` is no section; got {node!r}")


def _validate(values: dict[str, Any], origins: dict[Path_, str]) -> Settings:
    try:
        settings = Settings.model_validate(_lists_to_tuples(values))
    except ValidationError as error:
        raise _refusal(find_problems(error, Settings), origins) from None
    if problems := broken_rules(settings):
        raise _refusal(problems, origins)
    return settings


def _lists_to_tuples(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _lists_to_tuples(item) for key, item in value.items()}
    return tuple(map(_lists_to_tuples, value)) if isinstance(value, list | tuple) else value


def _refusal(problems: list[Problem], origins: dict[Path_, str]) -> SettingsError:
    """All problems in one error, each with its position and its hint."""
    lines = []
    for problem in sorted(problems, key=lambda problem: _reading_order(_position(problem.path, origins))):
        lines.append(f"{_position(problem.path, origins)}: {problem.what}")
        if problem.hint:
            lines.append(f"  hint: {problem.hint}")
    return SettingsError("\n".join(lines))


def _position(path: Path_, origins: dict[Path_, str]) -> str:
    """Where the value at `path`, or the nearest section around it, was set."""
    for length in range(len(path), 0, -1):
        if path[:length] in origins:
            return origins[path[:length]]
    return "settings"


def _reading_order(position: str) -> list[tuple[int, str]]:
    """A key that puts line 6 before line 11."""
    return [(int(part), "") if part.isdigit() else (0, part) for part in position.split(":")]


def walk(section: BaseModel, path: Path_ = ()) -> Iterator[tuple[Path_, Any]]:
    """Every value of the settings with its path, sections opened."""
    for name in type(section).model_fields:
        value = getattr(section, name)
        if isinstance(value, BaseModel):
            yield from walk(value, (*path, name))
        else:
            yield (*path, name), value


def origin_of(path: Path_, origins: dict[Path_, str]) -> str:
    """Where a value came from, for people: a position, a flag, or "default"."""
    inside = [origin for known, origin in origins.items() if known[: len(path)] == path]
    return inside[0] if inside else "default"


def to_yaml(settings: Settings) -> str:
    """The settings as YAML, every default written out; loading it gives the same settings."""
    return yaml.dump(
        settings.model_dump(mode="json"), Dumper=_PlainDumper, sort_keys=False, allow_unicode=True, width=100
    )


def write_run_yaml(settings: Settings) -> Path:
    """Write the resolved settings beside the run's artifacts."""
    path = settings.run_folder / "run.yaml"
    write_bytes(path, to_yaml(settings).encode())
    return path


class _PlainDumper(yaml.SafeDumper):
    """Writes floats so that YAML 1.1 and 1.2 readers agree (1.0e-08, never 1e-08)."""


def _represent_float(dumper: yaml.SafeDumper, value: float) -> yaml.Node:
    text = repr(value)
    if "e" in text and "." not in text:
        text = text.replace("e", ".0e")
    return dumper.represent_scalar("tag:yaml.org,2002:float", text)


_PlainDumper.add_representer(float, _represent_float)
