"""Rules on the screen: one document before all of them, other limits, and what was dropped."""

from typing import Any

from llmforge.cli.output import count, share, size, table
from llmforge.curate.explain import Explained, to_dict
from llmforge.curate.what_if import Answer, Question

_SHOWN_CHARACTERS = 300
_ASSUMED_BYTES_PER_TOKEN = 4.0


def explanation_lines(explained: Explained) -> list[str]:
    """Every condition with value and limit, what offends below the violated ones, and what was taken out."""
    facts = to_dict(explained)
    verdict = explained.judgement.verdict
    outcome = "stays" if verdict is None else f"dropped by {verdict.rule}"
    lines = [f"{facts['locator']}  {facts['id']}  {facts['kind']}, {count(len(explained.text))} characters: {outcome}"]
    rows = [["rule", "condition", "value", "wanted", ""]]
    rows += [
        [one["rule"], one["condition"], _number(one["value"]), f"{one['relation']} {_number(one['limit'])}", _mark(one)]
        for one in facts["conditions"]
    ]
    lines += table(rows, right=False)
    lines += [
        f"offends {one['rule']}.{one['condition']}: {_short(one['evidence'])}"
        for one in facts["conditions"]
        if one["evidence"]
    ]
    edits = [one for one in facts["edits"] if one["text"].strip()]
    lines += [f"taken out by {one['rule']} ({one['reason']}): {_short(one['text'])}" for one in edits[:20]]
    more = len(edits) - 20
    return lines + ([f"and {count(more)} more taken out"] if more > 0 else [])


def _mark(condition: dict[str, Any]) -> str:
    return "violated" if condition["violated"] else ""


def _number(value: float | str) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)[:60]


def _short(text: str) -> str:
    words = " ".join(text.split())
    return words if len(words) <= _SHOWN_CHARACTERS else words[:_SHOWN_CHARACTERS] + " ..."


def answer_lines(
    question: Question, own: float, answers: list[Answer], came_in: int, bytes_per_token: float | None
) -> list[str]:
    """What each limit keeps: documents, text, and tokens, which are an estimate."""
    rate = bytes_per_token or _ASSUMED_BYTES_PER_TOKEN
    rows = [[f"{question.rule}.{question.setting}", "documents", "of all", "text", "tokens, estimated", ""]]
    for one in answers:
        documents, volume = one.documents.total(), one.num_bytes.total()
        notes = ["as the run has it"] if one.limit == own else []
        notes += [f"estimate: {count(one.unread)} more pages would be extracted and judged"] if one.unread else []
        cells = [f"{one.limit:g}", count(documents), share(documents, came_in), size(volume), count(volume / rate)]
        rows.append([*cells, "; ".join(notes)])
    source = "as this run's tokenizer counts" if bytes_per_token else "assumed, until the run has a tokenizer"
    return [*table(rows), f"documents and text are exact; tokens at {rate:.2f} bytes a token, {source}"]


def answers_to_dict(question: Question, own: float, answers: list[Answer]) -> dict[str, Any]:
    """The same for --json."""
    return {
        "rule": question.rule,
        "setting": question.setting,
        "limit_of_run": own,
        "answers": [
            {
                "limit": one.limit,
                "documents": one.documents.total(),
                "bytes": one.num_bytes.total(),
                "by_source": dict(one.documents),
                "unread": one.unread,
                "is_estimate": one.unread > 0,
            }
            for one in answers
        ],
    }


def dropped_lines(rule: str, num_dropped: int, rows: list[dict[str, Any]]) -> list[str]:
    """Samples of dropped documents, each with the measured value, the limit and what offends."""
    lines = [f"{count(num_dropped)} documents dropped by {rule}; {len(rows)} of them:"]
    for row in rows:
        measured = "" if row["value"] is None else f" {row['value']}, limit {row['limit']}"
        lines += ["", f"{row['rule']}:{measured}   {row['source']}  {row['url']}  {row['id']}"]
        lines += [f"  offends: {_short(row['evidence'])}"] if row["evidence"] else []
        lines += [f"  {_short(row['text'])}"]
    return lines
