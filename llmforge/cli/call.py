"""How a command was called: its resolved settings, and the options that change no result."""

from dataclasses import dataclass
from typing import Any

from llmforge.cli.options import Common
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


def resolve(common: Common, flags: dict[str, tuple[str, Any]] | None = None) -> Call:
    """Set up messages and resolve the settings.

    Args:
        common: the options of the command line.
        flags: by setting, the flag that gave it and its value; one that was not given (None) sets nothing.
    """
    log.set_up(quiet=common.quiet, debug=common.debug)
    given = {name: (flag, value) for name, (flag, value) in (flags or {}).items() if value is not None}
    loaded = load_settings(common.config, common.sets or (), given)
    return Call(loaded, common.dry_run, common.force, common.strict, common.as_json)
