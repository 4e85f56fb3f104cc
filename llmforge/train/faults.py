"""Faults on request, so that tests can break a run at a known place.

    LLMFORGE_FAULTS="kill@step=7,rank=1;nan@step=5"

`kill` ends the process without a word before the step, `term` sends it SIGTERM, as a scheduler does, `stop` stops it
(SIGSTOP), `nan` makes the loss of the step not a number, and `spike` makes it a hundred times as large. Steps count
from 1, as in metrics.jsonl. Without a rank, every rank is meant. The variable is read once, when a run starts.
"""

import os
import signal
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from llmforge.core.errors import SettingsError
from llmforge.model.transformer import Transformer

VARIABLE = "LLMFORGE_FAULTS"
_KINDS = ("kill", "term", "stop", "nan", "spike")
_FACTORS = {"nan": torch.nan, "spike": 100.0}


@dataclass(frozen=True)
class Fault:
    """One fault: what happens, at which step (counted from 1), on which rank (None: on all)."""

    kind: str
    step: int
    rank: int | None = None


def read_faults(environment: Mapping[str, str] = os.environ) -> tuple[Fault, ...]:
    """The faults that the environment asks for.

    Raises: SettingsError if the variable cannot be understood.
    """
    texts = [text.strip() for text in environment.get(VARIABLE, "").split(";")]
    return tuple(_parse(text) for text in texts if text)


def _parse(text: str) -> Fault:
    kind, _, places = text.partition("@")
    try:
        values = {name: int(number) for name, number in (place.split("=") for place in places.split(","))}
        fault = Fault(kind, values.pop("step"), values.pop("rank", None))
    except (ValueError, KeyError):
        values, fault = {"?": 0}, Fault(kind, 0)
    if values or kind not in _KINDS:
        raise SettingsError(
            f"{VARIABLE}: cannot understand {text!r}",
            f"write KIND@step=N or KIND@step=N,rank=R; KIND: {', '.join(_KINDS)}",
        )
    return fault


class FaultInjector:
    """Carries the faults of this rank out."""

    def __init__(self, faults: tuple[Fault, ...], rank: int) -> None:
        self._mine = tuple(fault for fault in faults if fault.rank in (None, rank))
        self._factor = 1.0

    def attach(self, model: Transformer) -> Transformer:
        """Let a `nan` or `spike` fault reach the model's output; without one the model stays untouched."""
        if any(fault.kind in _FACTORS for fault in self._mine):
            model.register_forward_hook(self._poison)
        return model

    def before_step(self, step: int) -> None:
        """What is to happen at this step (counted from 1)."""
        kinds = {fault.kind for fault in self._mine if fault.step == step}
        if "kill" in kinds:
            os.kill(os.getpid(), signal.SIGKILL)
        if "term" in kinds:
            os.kill(os.getpid(), signal.SIGTERM)
        if "stop" in kinds:
            os.kill(os.getpid(), signal.SIGSTOP)
        self._factor = next((_FACTORS[kind] for kind in _FACTORS if kind in kinds), 1.0)

    def _poison(self, _model: nn.Module, _inputs: object, output: Tensor) -> Tensor:
        return output * self._factor if self._factor != 1.0 else output
