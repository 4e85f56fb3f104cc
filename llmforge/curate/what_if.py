"""Score once, decide many: what another limit of a rule would keep, from the measures of a run alone.

A limit that is tried changes no text, because what a rule measures does not depend on it; a setting that decides what
is measured, or what is taken out of a text, has no column in the measures and needs a run.
"""

from collections import Counter
from dataclasses import dataclass, field
from operator import eq, ge, gt, le, lt
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import TypeAdapter, ValidationError

from llmforge.config.curate import LanguageSection
from llmforge.config.curate_rules import RuleSection
from llmforge.config.problems import wish
from llmforge.core.errors import SettingsError
from llmforge.curate.measures import read_blocks

_HOLDS: dict[str, Any] = {">=": ge, "<=": le, ">": gt, "<": lt, "==": eq}


@dataclass(frozen=True)
class Question:
    """A rule's setting, and the limits to try."""

    rule: str
    setting: str
    limits: tuple[float, ...]


@dataclass
class Answer:
    """What one limit keeps, by source: documents (counts) and their text (bytes).

    `unread` are documents that an address dropped and this limit would not: nobody knows what other rules say of them.
    """

    limit: float
    documents: Counter[str] = field(default_factory=Counter)
    num_bytes: Counter[str] = field(default_factory=Counter)
    unread: int = 0


def parse_question(words: str) -> Question:
    """What `rule.setting=x,y,z` asks.

    Raises: SettingsError if it is not of that form.
    """
    name, _, values = words.partition("=")
    rule, _, setting = name.rpartition(".")
    try:
        limits = tuple(float(value) for value in values.split(","))
    except ValueError:
        limits = ()
    if not rule or not setting or not limits:
        raise SettingsError(f"--what-if {words}: not understood", "ask as in gopher_quality.min_words=20,50,100")
    return Question(rule, setting, limits)


def answer(artifact: Path, question: Question) -> tuple[float, list[Answer]]:
    """What each limit keeps, and the limit of the run itself.

    Args:
        artifact: the folder of a finished curate stage.
        question: rule, setting and limits; the rule may be named without its variant.
    Raises: SettingsError if the run did not measure that setting, or a limit is none that the settings take.
    """
    answers = [Answer(limit) for limit in question.limits]
    measured: dict[tuple[str, str], float] = {}
    for block in read_blocks(artifact):
        own: list[dict[str, Any]] = []
        others: list[dict[str, Any]] = []
        for column in block["conditions"]:
            rule, _, _, setting, limit = column["key"]
            is_own = setting == question.setting and question.rule in (rule, rule.split("@")[0])
            (own if is_own else others).append(column)
            if setting is not None:
                measured[rule, setting] = limit
        _add(block, own, others, answers)
    rule, own_limit = _find_own(question, measured)
    for limit in question.limits:
        _check(rule, question.setting, limit)
    return own_limit, answers


def _check(rule: str, setting: str, limit: float) -> None:
    """Whether the settings take a limit.

    Raises: SettingsError saying what they take.
    """
    try:
        if rule == "language":
            LanguageSection.model_validate({setting: limit})
        else:
            TypeAdapter(RuleSection).validate_python({"rule": rule, setting: limit})
    except ValidationError as error:
        for details in error.errors():  # of other settings too, which a rule may not have by default
            if details["loc"][-1] == setting:
                raise SettingsError(f"--what-if {rule}.{setting}={limit:g}: {wish(details)} is allowed") from error


def _find_own(question: Question, measured: dict[tuple[str, str], float]) -> tuple[str, float]:
    """The rule as it stands in the run, and the limit that the run had.

    Raises: SettingsError naming what can be asked.
    """
    found = {
        rule: limit
        for (rule, setting), limit in measured.items()
        if setting == question.setting and question.rule in (rule, rule.split("@")[0])
    }
    if len(found) == 1:
        return next(iter(found.items()))
    name = f"{question.rule}.{question.setting}"
    if found:
        raise SettingsError(f"{name}: the run has {' and '.join(found)}", "name the rule with its variant")
    known = [f"{rule}.{setting}" for rule, setting in measured]
    of_rule = [name for name in known if name.split(".")[0].split("@")[0] == question.rule.split("@")[0]]
    raise SettingsError(
        f"{name}: the run has no measures of it: no such rule judged a document, or the setting decides what the rule "
        "measures or takes out, and then only a run can tell",
        f"it has measures of {', '.join(of_rule or known)}; "
        "or run it: llmforge curate --set run.name=other with the setting changed",
    )


def _add(block: dict[str, Any], own: list[Any], others: list[Any], answers: list[Answer]) -> None:
    source, num_bytes = block["source"], np.array(block["num_bytes"], dtype=np.int64)
    unread = np.array(block["unread"], dtype=bool)
    stays = ~np.array(block["final"], dtype=bool)
    for column in others:
        stays &= _holds(column, column["key"][4])
    for one in answers:
        kept = stays.copy()
        for column in own:
            kept &= _holds(column, one.limit)
        one.unread += int(np.count_nonzero(kept & unread))
        kept &= ~unread
        one.documents[source] += int(np.count_nonzero(kept))
        one.num_bytes[source] += int(num_bytes[kept].sum())


def _holds(column: dict[str, Any], limit: float) -> NDArray[np.bool_]:
    """Which documents meet a condition with a limit; those that it was not measured of do."""
    values = np.array(column["values"], dtype=np.float64)
    held: NDArray[np.bool_] = _HOLDS[column["key"][2]](values, limit)
    return held | np.isnan(values)
