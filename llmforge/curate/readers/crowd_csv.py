"""Crowd-work results in the layout of a Mechanical Turk batch: a row for each assignment, one document for each task.

    HITId ... WorkerId, AssignmentStatus ... Input.<name> ... Answer.<name>

Only approved assignments count, unless the settings say otherwise. The assignments of a task become one document: what
the workers were shown, and for each question the answer that most of them gave, or all the different answers where no
two workers agree. Worker ids are personal data: they are hashed as they are read, and bad rows are quarantined
without a sample of their bytes.
"""

import hashlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from llmforge.core.csv_records import CSV_ENDINGS, CsvFile
from llmforge.core.documents import Document, document_id
from llmforge.core.errors import InputError
from llmforge.core.records import BadRecord, Record, reject
from llmforge.curate.readers.items import BadItem, Item, Merged, RawDocument, Reader, ReadOptions, Verdict
from llmforge.pipeline.inputs import InputFile

_MAX_FILE_BYTES = 512 << 20
_APPROVED = "approved"
_NO_ANSWERS = ("answer.submit hit", "answer.feedback")
_WITHHELD = "(withheld: a row names its worker)"


@dataclass(frozen=True)
class _Columns:
    """The names, as this file spells them, of the columns that matter; the two layouts differ in case."""

    task: str
    status: str | None
    worker: str | None
    shown: tuple[str, ...]
    answers: tuple[str, ...]


def read(file: InputFile, options: ReadOptions) -> Iterator[Item]:
    """One document a task, in the order of their first approved assignments.

    A file is held in memory, because the assignments of a task may stand anywhere in it.

    Raises: InputError if a column is missing, or the file is larger than 512 MiB.
    """
    if file.num_bytes > _MAX_FILE_BYTES:
        raise InputError(
            f"{file.path}: {file.num_bytes:,} bytes; a result file may have {_MAX_FILE_BYTES:,}", "split it by tasks"
        )
    table = CsvFile(file.path, max_record_bytes=options.max_record_bytes, measures=options.measures)
    columns = _find_columns(table.columns, file, options)
    tasks: dict[str, list[Record]] = {}
    # The command-line tools, which write small letters, end a row at its last answer.
    for record in table.read(may_end_early="hitid" in table.columns):
        if isinstance(record, BadRecord):
            yield _bad(file, record)
        elif not record.values[columns.task].strip():
            yield _bad(file, reject(record, "missing_task_id"))
        elif verdict := _judge_status(record, columns, options):
            yield _to_document(file, [record], columns, verdict)
        else:
            tasks.setdefault(record.values[columns.task].strip(), []).append(record)
    for assignments in tasks.values():
        yield _to_document(file, assignments, columns)
        yield from (Merged(record.num_bytes) for record in assignments[1:])


def _find_columns(names: list[str], file: InputFile, options: ReadOptions) -> _Columns:
    """The columns of a result file.

    Raises: InputError naming those that are missing.
    """
    known = {name.lower(): name for name in names}
    chosen = options.section.column
    shown, answers = (
        tuple(name for low, name in known.items() if low.startswith(prefix) and not low.endswith("workerid"))
        for prefix in ("input.", "answer.")
    )
    answers = tuple(name for name in answers if name.lower() not in _NO_ANSWERS)
    if chosen is not None:
        shown, answers = (), tuple(name for name in names if name == chosen)
    has_status = not options.section.approved_only or "assignmentstatus" in known
    wanted = {"HITId": "hitid" in known, "AssignmentStatus": has_status, chosen or "Answer.*": bool(answers)}
    if missing := [name for name, is_there in wanted.items() if not is_there]:
        raise InputError(
            f"{file.path}: no column {', '.join(missing)} among {', '.join(names[:12])}{' ...' * (len(names) > 12)}",
            "a crowd_csv is a result of single assignments; where it has no AssignmentStatus, set approved_only: false",
        )
    return _Columns(known["hitid"], known.get("assignmentstatus"), known.get("workerid"), shown, answers)


def _judge_status(record: Record, columns: _Columns, options: ReadOptions) -> Verdict | None:
    if not options.section.approved_only or columns.status is None:
        return None
    status = record.values[columns.status].strip()
    return None if status.lower() == _APPROVED else Verdict("not_approved", status, "Approved")


def _to_document(
    file: InputFile, assignments: list[Record], columns: _Columns, verdict: Verdict | None = None
) -> RawDocument:
    """The assignments of one task as a document."""
    first = assignments[0]
    votes = {name: _count_answers(assignments, name) for name in columns.answers}
    parts = [value for name in columns.shown if (value := first.values[name].strip())]
    parts += [answer for counts in votes.values() for answer in _choose_answers(counts)]
    text = "\n\n".join(parts)
    task = first.values[columns.task].strip()
    locator = f"{file.locator}#{task}" if verdict is None else f"{file.locator}#{first.number}"
    meta: dict[str, Any] = {"task": task, "assignments": len(assignments), "agreement": _agreement(votes)}
    if columns.worker is not None:
        meta["workers"] = [_hash_worker(file.source, record.values[columns.worker]) for record in assignments]
    document = Document(document_id(file.source, locator, text), text, file.source, meta=meta)
    return RawDocument(document, locator, first.num_bytes, first.offset, verdict=verdict)


def _count_answers(assignments: list[Record], column: str) -> Counter[str]:
    """How many workers gave which answer to one question, in the order in which they came."""
    answers = (record.values[column].strip() for record in assignments)
    return Counter(answer for answer in answers if answer)


def _choose_answers(counts: Counter[str]) -> list[str]:
    """The answer of the most workers; of equals the first; all of them where no two agree."""
    if not counts:
        return []
    answer, num_votes = counts.most_common(1)[0]
    return [answer] if num_votes > 1 else list(counts)


def _agreement(votes: dict[str, Counter[str]]) -> float | None:
    """Share of the workers who gave the most frequent answer, as a mean over the questions that two or more answered.

    Returns: 0 to 1; None where there is no such question.
    """
    shares = [max(counts.values()) / counts.total() for counts in votes.values() if counts.total() > 1]
    return round(sum(shares) / len(shares), 4) if shares else None


def _hash_worker(source: str, worker: str) -> str:
    """A pseudonym of a worker that holds within one source."""
    return hashlib.blake2b(
        worker.strip().encode(), digest_size=8, key=hashlib.sha256(source.encode()).digest()
    ).hexdigest()


def _bad(file: InputFile, record: BadRecord) -> BadItem:
    return BadItem(file.locator, replace(record, sample=_WITHHELD))


READER = Reader(CSV_ENDINGS, read)
