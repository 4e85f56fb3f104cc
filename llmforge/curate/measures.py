"""The side file of raw measures: what every rule measured of every document, the dropped ones among them.

    measures/00012.jsonl.zst   one line for each 1,024 documents, column by column

With it, other limits are tried without reading a text again: `kept` of a limit is every document whose other
conditions hold and whose value of this one is within the limit.
"""

import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from llmforge.core.errors import InputError
from llmforge.core.shards import LineWriter, read_objects
from llmforge.curate.filters.findings import Condition
from llmforge.curate.filters.table import Rule
from llmforge.curate.judging import Judgement
from llmforge.curate.readers.items import RawDocument

BLOCK_DOCUMENTS = 1024

Key = tuple[str, str, str, str | None, float | str]
"""Rule, condition, relation, setting and limit."""


@dataclass
class _Block:
    """The documents of one line that is not written yet."""

    ids: list[str] = field(default_factory=list)
    num_bytes: list[int] = field(default_factory=list)
    final: list[bool] = field(default_factory=list)
    unread: list[bool] = field(default_factory=list)
    columns: dict[Key, list[float | None]] = field(default_factory=dict)


class MeasuresWriter:
    """Collects the measures of a shard's documents and writes them in blocks."""

    def __init__(self, lines: LineWriter, source: str) -> None:
        self._lines, self._source = lines, source
        self._block = _Block()

    def write(self, raw: RawDocument, judgement: Judgement) -> None:
        """Note one document, with the size that its text would have if it stayed (bytes)."""
        block = self._block
        place = len(block.ids)
        block.ids.append(raw.document.id)
        block.num_bytes.append(len(judgement.text.encode()))
        block.final.append(judgement.is_final)
        block.unread.append(judgement.is_unread)
        for rule, condition in judgement.conditions:
            column = block.columns.setdefault(_key(rule, condition), [])
            column.extend([None] * (place - len(column)))
            column.append(_to_number(condition))
        if len(block.ids) == BLOCK_DOCUMENTS:
            self.flush()

    def flush(self) -> None:
        """Write what is collected."""
        block, self._block = self._block, _Block()
        if not block.ids:
            return
        for column in block.columns.values():
            column.extend([None] * (len(block.ids) - len(column)))
        self._lines.write(
            {
                "source": self._source,
                "ids": block.ids,
                "num_bytes": block.num_bytes,
                "final": block.final,
                "unread": block.unread,
                "conditions": [{"key": key, "values": values} for key, values in block.columns.items()],
            }
        )


def _key(rule: Rule, condition: Condition) -> Key:
    if isinstance(condition.limit, str):  # no number: what is kept is whether it held
        return rule.name, condition.name, "<=", None, 0.0
    return rule.name, condition.name, condition.relation, condition.setting, condition.limit


def _to_number(condition: Condition) -> float:
    value = condition.value
    if isinstance(condition.limit, str) or isinstance(value, str):
        return float(condition.violated)
    return max(-sys.float_info.max, min(value, sys.float_info.max))  # JSON knows no infinity


def read_blocks(artifact: Path) -> Iterator[dict[str, Any]]:
    """The blocks of a finished stage, in order.

    Raises: InputError if it has none.
    """
    files = sorted((artifact / "measures").glob("*.jsonl.zst"))
    if not files:
        raise InputError(f"{artifact}: no measures", "run `llmforge curate` again with --force; it writes them")
    for file in files:
        yield from read_objects(file)


def find_shard(artifact: Path, identity: str) -> int:
    """The number of the shard that a document was read in.

    Raises: InputError if the stage has no such document.
    """
    for file in sorted((artifact / "measures").glob("*.jsonl.zst")):
        if any(identity in block["ids"] for block in read_objects(file)):
            return int(file.name.split(".")[0])
    raise InputError(f"{artifact}: no document {identity}", "give the id of a document in data/ or dropped/")
