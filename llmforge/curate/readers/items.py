"""What a reader is, and what it hands out: raw documents, drops, merged records and bad records."""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Literal

from llmforge.config.curate import SourceSection
from llmforge.core.documents import Document
from llmforge.core.records import BadRecord, Record
from llmforge.pipeline.document_files import to_document
from llmforge.pipeline.inputs import InputFile

ContentKind = Literal["prose", "code", "maths"]
"""What a rule may be made for; maths is LaTeX and what is like it."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """Why a document is dropped: the rule, what was measured, and what would have been allowed."""

    rule: str
    value: float | str | None = None
    limit: float | str | None = None


@dataclass(slots=True)
class RawDocument:
    """A document as a source holds it.

    `locator` and `offset` say where it stands; `num_bytes` is its size there (bytes); `html` is set for a page
    whose text has yet to be extracted; `verdict` if the reader already knows that it is dropped.
    """

    document: Document
    locator: str
    num_bytes: int
    offset: int = 0
    html: str | None = None
    verdict: Verdict | None = None


@dataclass(frozen=True, slots=True)
class Merged:
    """A record that became part of a document handed out beside it."""

    num_bytes: int


@dataclass(frozen=True, slots=True)
class BadItem:
    """A record that could not be read, and the file that it stands in."""

    locator: str
    record: BadRecord
    is_reproducible: bool = True


Item = RawDocument | Merged | BadItem


@dataclass
class ReadOptions:
    """How to read one source; `measures` takes counts of what is no document (requests, blank lines)."""

    section: SourceSection
    max_record_bytes: int
    measures: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True)
class Reader:
    """One kind of source.

    Attributes:
        endings: names that a folder's files of this kind end in; a file that is named itself may have any.
        read: the items of one file, in order, in bounded memory.
        kind: what the text is.
        left_out: folders of this name are left out.
    """

    endings: tuple[str, ...]
    read: Callable[[InputFile, ReadOptions], Iterator[Item]]
    kind: ContentKind = "prose"
    left_out: frozenset[str] = frozenset()


def from_records(records: Iterator[Record | BadRecord], file: InputFile, column: str | None) -> Iterator[Item]:
    """Rows or objects as raw documents of the file's source."""
    for record in records:
        found = record if isinstance(record, BadRecord) else to_document(record, file.source, file.locator, column)
        if isinstance(found, BadRecord):
            yield BadItem(file.locator, found)
        elif isinstance(record, Record):
            found.source = file.source
            yield RawDocument(found, f"{file.locator}#{record.number}", found.num_bytes, record.offset)
