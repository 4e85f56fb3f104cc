import csv
from collections.abc import Callable
from pathlib import Path

import pytest
from curating import Result

from llmforge.core.errors import InputError

Curate = Callable[..., Result]

COLUMNS = ("HITId", "AssignmentId", "WorkerId", "AssignmentStatus", "Input.question", "Answer.label", "Answer.why")


def write(path: Path, rows: list[tuple[str, ...]], columns: tuple[str, ...] = COLUMNS) -> Path:
    with open(path, "w", newline="") as file:
        csv.writer(file).writerows([columns, *rows])
    return path


def row(task: str, worker: str, label: str, why: str, status: str = "Approved") -> tuple[str, ...]:
    return (task, f"{task}-{len(why)}", worker, status, f"What is {task}?", label, why)


def test_assignments_of_a_task_become_one_document_with_their_agreement(curate: Curate, tmp_path: Path) -> None:
    rows = [
        row("T1", "ANN", "yes", "It is so."),
        row("T2", "ANN", "no", "Not so."),
        row("T1", "BOB", "yes", "One can see it."),
        row("T1", "CYD", "no", "It is not."),
        row("T1", "DAN", "yes", "spam", "Rejected"),
        row("T2", "EVE", "no", "later", "Submitted"),
    ]
    result = curate(write(tmp_path / "batch.csv", rows))
    assert result.texts == [
        "What is T1?\n\nyes\n\nIt is so.\n\nOne can see it.\n\nIt is not.",
        "What is T2?\n\nno\n\nNot so.",
    ]
    first, second = (document["meta"] for document in result.kept)
    assert (first["task"], first["assignments"]) == ("T1", 3)
    assert first["agreement"] == pytest.approx((2 / 3 + 1 / 3) / 2, abs=1e-4)
    assert (second["assignments"], second["agreement"]) == (1, None)
    documents = result.manifest.counts["documents"]
    assert (documents["in"], documents["kept"], documents["merged"]) == (6, 2, 2)
    assert documents["dropped"] == {"not_approved": 2}
    assert [dropped["value"] for dropped in result.dropped] == ["Rejected", "Submitted"]


def test_worker_ids_are_nowhere_in_the_artifact(curate: Curate, tmp_path: Path) -> None:
    file = write(tmp_path / "batch.csv", [row("T1", "ANN", "a", "b"), row("T2", "ANN", "a", "b", "Rejected")])
    with open(file, "a") as lines:
        lines.write("T3,x,ANN,Approved,too few columns\n")
    result = curate(file)
    assert result.errors == {"column_count": 1}
    assert "ANN" not in str(result.kept) + str(result.dropped) + str(result.quarantined)
    assert result.kept[0]["meta"]["workers"] == result.dropped[0]["meta"]["workers"]
    assert len(result.kept[0]["meta"]["workers"][0]) == 16


def test_a_worker_has_another_pseudonym_in_another_source(curate: Curate, tmp_path: Path) -> None:
    files = [write(tmp_path / f"{name}.csv", [row("T1", "ANN", name, "b")]) for name in ("one", "two")]
    first, second = curate(*files).kept
    assert first["meta"]["workers"] != second["meta"]["workers"]


def test_every_assignment_counts_where_the_settings_say_so(curate: Curate, tmp_path: Path) -> None:
    rows = [row("T1", "ANN", "a", "x", "Rejected"), row("T1", "BOB", "a", "x", "Submitted")]
    result = curate(write(tmp_path / "batch.csv", rows), approved_only=False)
    assert result.texts == ["What is T1?\n\na\n\nx"]
    assert result.kept[0]["meta"]["agreement"] == 1.0


def test_the_text_is_the_column_that_was_asked_for(curate: Curate, tmp_path: Path) -> None:
    result = curate(write(tmp_path / "batch.csv", [row("T1", "ANN", "a", "Because.")]), column="Answer.why")
    assert result.texts == ["Because."]


@pytest.mark.parametrize(
    ("columns", "source", "missing"),
    [
        (("HITId", "Answer.a"), {}, "AssignmentStatus"),
        (("AssignmentStatus", "Answer.a"), {}, "HITId"),
        (("HITId", "AssignmentStatus"), {}, "Answer.*"),
        (("HITId", "AssignmentStatus", "Answer.a"), {"column": "Answer.b"}, "Answer.b"),
        (("text", "label"), {}, "HITId, AssignmentStatus, Answer.*"),
    ],
)
def test_missing_columns_are_named(
    curate: Curate, tmp_path: Path, columns: tuple[str, ...], source: dict[str, str], missing: str
) -> None:
    file = write(tmp_path / "batch.csv", [tuple("x" for _ in columns)], columns)
    with pytest.raises(InputError, match=r"batch\.csv: no column") as caught:
        curate(file, type="crowd_csv", **source)
    assert f"no column {missing} among {', '.join(columns)}" in caught.value.what


def test_a_broken_row_costs_one_line(curate: Curate, tmp_path: Path) -> None:
    lines = [
        ",".join(COLUMNS),
        "T1,a,ANN,Approved,q1,yes,one",
        'T2,a,ANN,Approved,q2,"yes,two',  # the quotation mark is never closed
        "T3,a,ANN,Approved,q3,yes,three",
        "T4,a,ANN,Approved,q4,yes",
        "T5,a,ANN,Approved,q5,yes,five,more",
        ",a,ANN,Approved,q6,yes,six",
        'T7,a,ANN,Approved,q7,"yes"no,seven',
        f"T8,a,ANN,Approved,q8,yes,{'x' * 2000}",
        'T9,a,ANN,Approved,"q9,\n""nine""",yes,nine',
    ]
    (tmp_path / "batch.csv").write_text("\n".join(lines))
    result = curate(tmp_path / "batch.csv", settings={"max_record_bytes": 1024})
    assert [document["meta"]["task"] for document in result.kept] == ["T1", "T3", "T9"]
    assert result.texts[2] == 'q9,\n"nine"\n\nyes\n\nnine'
    assert result.errors == {"unbalanced_quote": 2, "column_count": 2, "missing_task_id": 1, "record_too_large": 1}


def test_rows_of_the_command_line_tools_end_at_their_last_answer(curate: Curate, tmp_path: Path) -> None:
    text = "hitid\tworkerid\tassignmentstatus\tAnswer.1\tAnswer.2\nT1\tANN\tApproved\tone\nT1\tBOB\tApproved\t\ttwo\n"
    (tmp_path / "tool.csv").write_text(text)
    result = curate(tmp_path / "tool.csv")
    assert result.texts == ["one\n\ntwo"]
    assert result.kept[0]["meta"]["agreement"] is None


def test_real_results_of_the_command_line_tools_are_read_whole(curate: Curate, real_data: Path) -> None:
    result = curate(real_data / "mturk" / "ukp_clt", type="crowd_csv")
    documents = result.manifest.counts["documents"]
    assert documents["quarantined"] == {}
    assert documents["in"] == 1142
    assert documents["dropped"]["not_approved"] == 1142 - 741
    assert documents["kept"] + documents["merged"] == 741
