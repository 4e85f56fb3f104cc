"""What a reader is, and what it hands out: raw documents, drops, merged records and bad records."""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Literal

from llmforge.config.curate import SourceSection
from llmforge.core.documents import Document
from llmforge.core.records import BadRecord
from llmforge.pipeline.inputs import InputFile

ContentKind = Literal["prose", "code", "maths"]
"""What a rule may be made for; maths is LaTeX and what is like it."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """Why a document is dropped: the rule, what was measured, what would have been allowed, and what offends."""

    rule: str
    value: float | str | None = None
    limit: float | str | None = None
    evidence: str | None = None


@dataclass(slots=True)
class RawDocument:
    """A document as a source holds it.

    `locator` and `offset` say where it stands; `num_bytes` is its size there (bytes); `html` is a page in UTF-8
    whose text has yet to be extracted; `verdict` if the reader already knows that it is dropped.
    """

    document: Document
    locator: str
    num_bytes: int
    offset: int = 0
    html: bytes | None = None
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
        select: which files of a folder or pattern are of this kind; None: those with the endings.
    """

    endings: tuple[str, ...]
    read: Callable[[InputFile, ReadOptions], Iterator[Item]]
    kind: ContentKind = "prose"
    select: Callable[[list[InputFile]], list[InputFile]] | None = None

    def choose(self, files: list[InputFile]) -> list[InputFile]:
        """The files of a folder or pattern that are of this kind."""
        if self.select is not None:
            return self.select(files)
        return [file for file in files if file.path.name.lower().endswith(self.endings)]
