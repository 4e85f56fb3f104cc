"""Rows as training and validation read them, decoded, with the documents that they were cut from."""

import itertools
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from llmforge.cli.output import count, table
from llmforge.config.load import load_settings
from llmforge.config.schema import Settings
from llmforge.core.errors import InputError
from llmforge.tokenize.inspection import is_run
from llmforge.tokenize.packing import compare_packings
from llmforge.tokenize.rows import Piece, SourceStream, open_streams
from llmforge.tokenize.token_store import DocumentSpan, Split, TokenStore
from llmforge.tokenize.tokenizer import Tokenizer, load_tokenizer
from llmforge.train.data import open_training_data
from llmforge.train.follow import follow_plan
from llmforge.train.plan import resolve_model

_Place = tuple[int, SourceStream, list[Piece]]
"""A row's number, its source, and the ranges of it that the row consists of."""


@dataclass(frozen=True)
class Part:
    """What a row holds of one document: its tokens in the row (count), and their text without the end token."""

    document: DocumentSpan
    num_tokens: int
    text: str
    is_ended: bool


@dataclass(frozen=True)
class Row:
    """One row: its number in the order of reading, its source, and its documents."""

    number: int
    source: str
    parts: list[Part]


def read_rows(run: Path, split: Split, first: int, num_rows: int) -> list[Row]:
    """Rows `first` and following of a run: training in its global order of samples, validation in order.

    Raises: InputError if the run is not tokenized, or has no such row.
    """
    store, tokenizer = TokenStore.open(_tokenized(run), split), load_tokenizer(_tokenized(run))
    settings = _settings_of(run)
    context = resolve_model(follow_plan(settings)).context
    order = _training_order(store, context, settings, first) if split == "train" else _in_order(store, context, first)
    rows = [_row(*place, tokenizer) for place in islice(order, num_rows)]
    if not rows:
        raise InputError(f"{run}: the {split} split has no row {first:,}")
    return rows


def _tokenized(run: Path) -> Path:
    if not is_run(run):
        raise InputError(f"{run}: no tokenized run", "name a run's folder, such as runs/demo, after llmforge tokenize")
    return run / "tokenize"


def _settings_of(run: Path) -> Settings:
    """The settings that the run was made with, for the folder where it lies now."""
    settings = load_settings(run / "run.yaml").settings
    here = settings.run.model_copy(update={"dir": str(run.absolute().parent), "name": run.absolute().name})
    return settings.model_copy(update={"run": here})


def _training_order(store: TokenStore, context: int, settings: Settings, first: int) -> Iterator[_Place]:
    data = open_training_data(settings, store, context)
    return ((number, *data.pieces(number)) for number in itertools.count(first))


def _in_order(store: TokenStore, context: int, first: int) -> Iterator[_Place]:
    every = (
        (stream, [(start, min(context, stream.num_tokens - start))])
        for stream in open_streams(store)
        for start in range(0, stream.num_tokens, context)
    )
    return ((number, *place) for number, place in enumerate(islice(every, first, None), first))


def _row(number: int, stream: SourceStream, pieces: list[Piece], tokenizer: Tokenizer) -> Row:
    parts = []
    for piece in pieces:
        held = np.split(stream.read(*piece), np.cumsum(stream.parts(*piece))[:-1])
        parts += [_part(*one, tokenizer) for one in zip(stream.documents(*piece), held, strict=True)]
    return Row(number, stream.name, parts)


def _part(document: DocumentSpan, tokens: NDArray[np.int64], tokenizer: Tokenizer) -> Part:
    is_ended = tokens[-1] == tokenizer.eos_id
    return Part(document, len(tokens), tokenizer.decode(tokens[:-1] if is_ended else tokens), bool(is_ended))


def row_lines(row: Row) -> list[str]:
    """A row with a line before each document, and one where a document ends within it."""
    num_tokens = sum(part.num_tokens for part in row.parts)
    lines = [f"row {row.number:,}: {count(num_tokens)} tokens of source {row.source}; documents: {len(row.parts)}"]
    for part in row.parts:
        document = part.document
        held = f"{count(part.num_tokens)} of its {count(document.num_tokens)} tokens"
        lines += [f"--- document {document.id}  {document.url or '(no address)'}  {held}", part.text]
        lines += ["--- end of document"] if part.is_ended else []
    return [*lines, ""]


def compare_packing(run: Path, split: Split) -> tuple[int, dict[str, dict[str, Any]]]:
    """The run's context, and what both ways of filling rows with its documents cost, by name."""
    store, context = TokenStore.open(_tokenized(run), split), resolve_model(follow_plan(_settings_of(run))).context
    reports = compare_packings([stream.ends() for stream in open_streams(store)], context)
    return context, {name: asdict(report) for name, report in reports.items()}


def packing_lines(context: int, reports: dict[str, dict[str, Any]]) -> list[str]:
    """One line for each way of packing."""
    rows = [[f"packing, context {context:,}", "rows", "broken documents", "padding"]]
    rows += [
        [name, count(one["num_rows"]), f"{one['broken_documents']:.1%}", f"{one['padding']:.1%}"]
        for name, one in reports.items()
    ]
    return table(rows)


def to_dict(row: Row) -> dict[str, Any]:
    """A row for --json."""
    return asdict(row)
