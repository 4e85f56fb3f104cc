"""The fingerprint: what decides whether a finished artifact may be used again.

It covers identity (stage and version, settings that differ from their defaults, package versions, inputs by
content). Execution (workers, executor, ranks, log level) is recorded beside it and does not count.
"""

from collections.abc import Iterator
from importlib import metadata
from typing import Any

from llmforge.config.schema import Settings, identity_settings
from llmforge.core.hashing import HashCache
from llmforge.pipeline.inputs import Inputs
from llmforge.pipeline.stage import Stage


def package_versions(packages: tuple[str, ...]) -> dict[str, str]:
    """Installed versions of the named packages."""
    return {name: metadata.version(name) for name in sorted(packages)}


def stage_identity(stage: Stage, settings: Settings, inputs: Inputs, cache: HashCache) -> dict[str, Any]:
    """Everything that decides a stage's output bytes, written out."""
    return {
        "stage": stage.name,
        "version": stage.version,
        "seed": settings.run.seed,
        "settings": identity_settings(getattr(settings, stage.section)),
        "packages": package_versions(stage.packages),
        "inputs": inputs.identity(cache),
    }


def differences(old: dict[str, Any], new: dict[str, Any], section: str) -> list[str]:
    """What changed between two identities, one sentence each, settings by their full name."""
    names = {"settings": section, "packages": "package", "inputs": "input"}
    lines = []
    for key in ("stage", "version", "seed", "settings", "packages", "inputs"):
        for path, before, after in _changes(old.get(key), new.get(key)):
            separator = "." if key == "settings" else " "
            name = separator.join([names.get(key, key), ".".join(path)]).strip()
            lines.append(f"{name}: was {_shown(before)}, now {_shown(after)}")
    return lines


_ABSENT = object()


def _shown(value: object) -> str:
    return "absent (or the default)" if value is _ABSENT else repr(value)


def _changes(old: Any, new: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any, Any]]:
    # A section that was all defaults stands nowhere: its settings are named one by one all the same.
    old = {} if old is _ABSENT and isinstance(new, dict) and new else old
    new = {} if new is _ABSENT and isinstance(old, dict) and old else new
    if isinstance(old, dict) and isinstance(new, dict):
        for key in sorted({*old, *new}):
            yield from _changes(old.get(key, _ABSENT), new.get(key, _ABSENT), (*path, str(key)))
    elif isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        for place, (before, after) in enumerate(zip(old, new, strict=True)):
            yield from _changes(before, after, (*path, str(place)))
    elif old != new:
        yield path, old, new
