"""What llmforge says while it works: on stderr, plain, without colour needed to understand it."""

import logging
import sys

_LOGGER = logging.getLogger("llmforge")


def set_up(*, quiet: bool = False, debug: bool = False) -> None:
    """Send messages to stderr; `quiet` leaves warnings and errors, `debug` adds detail."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(message)s"))
    _LOGGER.handlers[:] = [handler]
    _LOGGER.setLevel(logging.DEBUG if debug else logging.WARNING if quiet else logging.INFO)
    _LOGGER.propagate = False


def say(message: str) -> None:
    """Tell the user something."""
    _LOGGER.info(message)


def detail(message: str) -> None:
    """Tell something that is shown with --debug only."""
    _LOGGER.debug(message)


def warn(message: str) -> None:
    """Warn the user, with --quiet too."""
    _LOGGER.warning("warning: %s", message)


def decided(name: str, value: object, reason: str) -> None:
    """Tell an automatic choice with its reason: every choice that the user did not make goes through here."""
    _LOGGER.info("%s: %s, because %s", name, value, reason)
