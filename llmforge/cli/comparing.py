"""Comparing tokenizers from the command line: the tables on stdout, and beside the run's artifacts."""

import time
from dataclasses import asdict

from llmforge.cli.call import Call
from llmforge.cli.output import duration, print_json, print_lines, size, table
from llmforge.core import log
from llmforge.core.errors import SettingsError
from llmforge.core.files import write_bytes, write_json
from llmforge.tokenize.compare import EXISTING, Comparison, Row, candidates, compare
from llmforge.tokenize.compare_table import markdown, tables

_NAME = "tokenize-compare"
_BAR_WIDTH = 24


def compare_command(call: Call) -> None:
    """`llmforge tokenize --compare`: train, score, print; no artifact is touched."""
    if call.force or call.strict:
        raise SettingsError("--compare builds no artifact: --force and --strict do not go with it")
    settings = call.settings
    if call.dry_run:
        _say_what_is_compared(call)
        return
    start_s = time.monotonic()
    found = compare(settings, settings.run_folder)
    result = {**asdict(found), "wall_s": round(time.monotonic() - start_s, 1)}
    write_json(settings.run_folder / f"{_NAME}.json", result)
    write_bytes(settings.run_folder / f"{_NAME}.md", markdown(found.rows).encode())
    if call.as_json:
        print_json(result)
    else:
        print_lines(_show(found, result["wall_s"]))
    log.say(f"written       {settings.run_folder / _NAME}.json and .md")


def _say_what_is_compared(call: Call) -> None:
    section = call.settings.tokenize
    trained = [f"{one.algorithm} {one.num_tokens:,}" for one in candidates(call.settings)]
    given = [] if section.tokenizer is None else [f"{EXISTING} {section.tokenizer}"]
    if call.as_json:
        print_json({"compares": [*given, *trained]})
    else:
        print_lines([*(f"loads   {one}" for one in given), *(f"trains  {one}" for one in trained)])


def _show(found: Comparison, wall_s: float) -> list[str]:
    lines = [
        f"trained on {size(found.train_bytes)} and scored on {size(found.held_out_bytes)} "
        f"of a corpus of {size(found.corpus_bytes)}, in {duration(wall_s)}"
    ]
    for title, rows in tables(found.rows).items():
        lines += ["", title, *(f"  {line}" for line in table(rows))]
    return [*lines, "", "bytes per token (shaded: the text does not come back)", *_bars(found.rows)]


def _bars(rows: list[Row]) -> list[str]:
    longest = max(row.scores.bytes_per_token for row in rows)
    lines = []
    for row in rows:
        bar = ("█" if row.scores.round_trip == 1 else "░") * round(_BAR_WIDTH * row.scores.bytes_per_token / longest)
        lines.append(f"  {row.algorithm:<21}  {row.vocab_size:>7,}  {row.scores.bytes_per_token:5.2f}  {bar}")
    return lines
