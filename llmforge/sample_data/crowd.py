"""A crowd-work result in the column layout of a Mechanical Turk batch, written for the purpose.

Sixty tasks of three assignments each ask for a definition of a Python term and for its category. Workers disagree,
some answers were rejected as empty of content, and some are not judged yet.
"""

import csv
import hashlib
import io
from collections.abc import Iterator
from datetime import datetime, timedelta

from llmforge.sample_data.crowd_answers import ANSWERS

ASSIGNMENTS = 3
_NUM_WORKERS = 14
_START = datetime(2000, 1, 3, 9, 0, 0)
_NO_ANSWERS = ("good", "i dont know", "nice task thank you", "see google", "python", "asdf asdf")

_COLUMNS = (
    "HITId HITTypeId Title Description Keywords Reward CreationTime MaxAssignments RequesterAnnotation "
    "AssignmentDurationInSeconds AutoApprovalDelayInSeconds Expiration NumberOfSimilarHITs LifetimeInSeconds "
    "AssignmentId WorkerId AssignmentStatus AcceptTime SubmitTime AutoApprovalTime ApprovalTime RejectionTime "
    "RequesterFeedback WorkTimeInSeconds LifetimeApprovalRate Last30DaysApprovalRate Last7DaysApprovalRate "
    "Input.term Input.question Answer.category Answer.definition Approve Reject"
).split()


def batch_results() -> bytes:
    """The result file: a header, then a row for each assignment."""
    target = io.StringIO()
    writer = csv.DictWriter(target, _COLUMNS, restval="", quoting=csv.QUOTE_ALL, lineterminator="\n")
    writer.writeheader()
    writer.writerows(_rows())
    return target.getvalue().encode()


def _rows() -> Iterator[dict[str, str]]:
    for task, block in enumerate(ANSWERS.strip().split("\n\n")):
        title, *answers = block.splitlines()
        term, category = title.split(" | ")
        for assignment in range(ASSIGNMENTS):
            yield _row(task, assignment, term, category, answers[assignment % len(answers)])


def _row(task: int, assignment: int, term: str, category: str, definition: str) -> dict[str, str]:
    number = task * ASSIGNMENTS + assignment
    status = _status(number)
    answers = {
        "Input.term": term,
        "Input.question": f"What does the word {term} mean in Python?",
        # Every seventh worker takes another view of what kind of thing the term is.
        "Answer.category": "concept" if number % 7 == 3 else category,
        "Answer.definition": _NO_ANSWERS[number % len(_NO_ANSWERS)] if status == "Rejected" else definition,
    }
    return _task_columns(task) | _assignment_columns(number, status) | answers


def _status(number: int) -> str:
    return "Rejected" if number % 11 == 7 else "Submitted" if number % 13 == 5 else "Approved"


def _task_columns(task: int) -> dict[str, str]:
    return {
        "HITId": _identifier("task", task),
        "HITTypeId": _identifier("type", 0),
        "Title": "llmforge sample: explain a Python term",
        "Description": "llmforge sample: written for the purpose, by no real worker",
        "Keywords": "sample, python, definition",
        "Reward": "$0.05",
        "CreationTime": _time(0),
        "MaxAssignments": str(ASSIGNMENTS),
        "RequesterAnnotation": "BatchId:0;OriginalHitTemplateId:0;",
        "AssignmentDurationInSeconds": "600",
        "AutoApprovalDelayInSeconds": "259200",
        "Expiration": _time(7 * 86400),
        "LifetimeInSeconds": "",
    }


def _assignment_columns(number: int, status: str) -> dict[str, str]:
    work_s = 25 + number * 37 % 180
    accepted_s = 60 + number * 95
    judged = {"Approved": "ApprovalTime", "Rejected": "RejectionTime"}.get(status)
    columns = {
        "AssignmentId": _identifier("assignment", number),
        "WorkerId": f"SAMPLEWORKER{number * 5 % _NUM_WORKERS:02d}",
        "AssignmentStatus": status,
        "AcceptTime": _time(accepted_s),
        "SubmitTime": _time(accepted_s + work_s),
        "AutoApprovalTime": _time(accepted_s + work_s + 259200),
        "WorkTimeInSeconds": str(work_s),
        "LifetimeApprovalRate": "0% (0/0)",
        "Last30DaysApprovalRate": "0% (0/0)",
        "Last7DaysApprovalRate": "0% (0/0)",
    }
    if judged:
        columns[judged] = _time(accepted_s + 86400)
    if status == "Rejected":
        columns["RequesterFeedback"] = "The answer does not explain the term."
    return columns


def _identifier(kind: str, number: int) -> str:
    """An identifier of the usual length (30 characters) that nobody was given."""
    digest = hashlib.sha256(f"llmforge sample {kind} {number}".encode()).hexdigest()
    return f"SAMPLE{digest[:24].upper()}"


def _time(offset_s: int) -> str:
    """A time as the result files write it; `ctime` speaks English whatever the locale."""
    weekday, month, day, clock, year = (_START + timedelta(seconds=offset_s)).ctime().split()
    return f"{weekday} {month} {int(day):02d} {clock} PST {year}"
