"""How a command was called: its resolved settings, and the options that change no result."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from llmforge.config.load import Loaded, load_settings
from llmforge.config.schema import Settings
from llmforge.core import log


@dataclass(frozen=True)
class Call:
    """How a command was called: its settings, and the options that change no result."""

    loaded: Loaded
    dry_run: bool = False
    force: bool = False
    strict: bool = False
    as_json: bool = False

    @property
    def settings(self) -> Settings:
        """The resolved settings."""
        return self.loaded.settings


def resolve(
    config: Path | None,
    sets: list[str] | None,
    *,
    flags: dict[str, tuple[str, Any]] | None = None,
    quiet: bool = False,
    debug: bool = False,
    dry_run: bool = False,
    force: bool = False,
    strict: bool = False,
    as_json: bool = False,
) -> Call:
    """Set up messages and resolve the settings; a flag that was not given (None) sets nothing."""
    log.set_up(quiet=quiet, debug=debug)
    given = {name: (flag, value) for name, (flag, value) in (flags or {}).items() if value is not None}
    return Call(load_settings(config, sets or (), given), dry_run, force, strict, as_json)
