"""Tokens on the screen: a text cut into pieces, in colour on a terminal, with ids and bytes below."""

from pathlib import Path
from typing import Any

from llmforge.cli.output import count, print_lines, table
from llmforge.config.load import load_settings
from llmforge.core.errors import InputError
from llmforge.tokenize.inspection import Piece, find_tokenizer, first_tokens, is_run, pieces

_STYLES = ("black on bright_cyan", "black on bright_yellow", "black on bright_green", "black on bright_magenta")
_VISIBLE = str.maketrans({"\n": "↵\n", "\r": "␍", "\t": "→   "})


def tokens_of(text_or_run: str, tokenizer: Path | None, num_tokens: int) -> tuple[str, list[Piece]]:
    """The text and its pieces: of a run's first tokens, or of the words given.

    Args:
        text_or_run: a run's folder, or a text.
        tokenizer: a run's folder or a tokenizer's file; None: the run itself, or that of llmforge.yaml here.
        num_tokens: of a run, this many tokens (count).
    Raises: InputError or SettingsError if there is no tokenizer.
    """
    run = Path(text_or_run)
    if len(text_or_run) < 1024 and is_run(run):
        found = find_tokenizer(run)
        ids = first_tokens(run, num_tokens)
        return found.decode(ids), pieces(found, ids)
    found = find_tokenizer(tokenizer or _run_here())
    ids = found.encode(text_or_run).tolist()
    return text_or_run, pieces(found, ids)


def _run_here() -> Path:
    """The run of the settings in this folder.

    Raises: InputError if it has no tokenizer yet.
    """
    run = load_settings(None).settings.run_folder
    if not is_run(run):
        raise InputError(
            f"{run}: no such run or tokenizer", "name a run's folder or a tokenizer's file: --tokenizer runs/demo"
        )
    return run


def show_tokens(text: str, found: list[Piece]) -> None:
    """Print the pieces side by side, and each with its id and bytes."""
    from rich.console import Console
    from rich.text import Text

    console = Console(highlight=False)
    if console.is_terminal and not console.no_color:
        parts = [(piece.text.translate(_VISIBLE), _STYLES[place % len(_STYLES)]) for place, piece in enumerate(found)]
        console.print(Text.assemble(*parts), soft_wrap=True)
    else:
        print_lines(["|".join(piece.text for piece in found)])
    print_lines(["", *table(_rows(found), right=False), "", _sizes(len(text.encode()), len(found))])


def _sizes(num_bytes: int, num_tokens: int) -> str:
    rate = f"{num_bytes / max(1, num_tokens):.2f} bytes per token"
    return f"{count(num_bytes)} bytes, {count(num_tokens)} tokens, {rate}"


def _rows(found: list[Piece]) -> list[list[str]]:
    rows = [["id", "spelling", "bytes", "text"]]
    return rows + [[str(one.id), one.spelling, one.bytes.hex(" "), repr(one.text)] for one in found]


def to_dict(text: str, found: list[Piece]) -> dict[str, Any]:
    """The same for --json."""
    tokens = [{"id": one.id, "spelling": one.spelling, "bytes": one.bytes.hex(), "text": one.text} for one in found]
    return {"text": text, "tokens": tokens}
