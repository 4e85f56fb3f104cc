"""Train with the settings given as JSON, and end with the exit code of the error; started by tests."""

import json
import sys

from llmforge.config.schema import Settings
from llmforge.core import log
from llmforge.core.errors import LlmforgeError
from llmforge.train.stage import train


def _tuples(value: object) -> object:
    if isinstance(value, list):
        return tuple(_tuples(item) for item in value)
    if isinstance(value, dict):
        return {key: _tuples(item) for key, item in value.items()}
    return value


if __name__ == "__main__":
    log.set_up()
    try:
        train(Settings.model_validate(_tuples(json.loads(sys.argv[1]))))
    except LlmforgeError as error:
        sys.stderr.write(f"error: {error}\n")
        sys.exit(error.exit_code)
