"""The chain: stages in order, each brought up to date before the next one starts."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from llmforge.core.errors import SettingsError

STAGES = ("curate", "dedup", "tokenize", "plan-scaling", "train")

Result = TypeVar("Result")


@dataclass(frozen=True)
class Link(Generic[Result]):
    """One stage of the chain: its name, and how to bring it up to date."""

    name: str
    build: Callable[[], Result]


def choose_stages(first: str | None, last: str | None) -> tuple[str, ...]:
    """The stages from `first` to `last`, both included.

    Raises: SettingsError if a name is unknown or the two are in the wrong order.
    """
    for name in (first, last):
        if name is not None and name not in STAGES:
            raise SettingsError(f"unknown stage; got {name!r}, allowed {', '.join(STAGES)}")
    begin = STAGES.index(first) if first else 0
    end = STAGES.index(last) if last else len(STAGES) - 1
    if begin > end:
        raise SettingsError(f"--from {first} comes after --to {last}", f"the order is {' -> '.join(STAGES)}")
    return STAGES[begin : end + 1]


def run_chain(links: Sequence[Link[Result]], report: Callable[[str, Result], None]) -> list[Result]:
    """Build each stage in turn; `report` is told of each one as it ends. The first error ends the chain."""
    results = []
    for link in links:
        result = link.build()
        report(link.name, result)
        results.append(result)
    return results
