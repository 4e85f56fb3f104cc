"""Mirrors show what metrics.jsonl holds, and whatever befalls them, the training goes on."""

import logging
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
import pytest
from tiny_run import final_weights, make_settings

from llmforge.core.errors import MachineError
from llmforge.train import mirrors
from llmforge.train.ledger import Ledger
from llmforge.train.mirrors import Mirror, Sink, flatten
from llmforge.train.stage import TrainOutcome, train


class Memory:
    """A sink that remembers, or fails when told to."""

    def __init__(self, fails: BaseException | None = None, waits_for: threading.Event | None = None) -> None:
        self.seen: list[tuple[int, dict[str, float]]] = []
        self.closed = False
        self._fails, self._waits_for = fails, waits_for

    def add(self, step: int, figures: dict[str, float]) -> None:
        if self._waits_for is not None:
            self._waits_for.wait(30)
        if self._fails is not None:
            raise self._fails
        self.seen.append((step, figures))

    def close(self) -> None:
        self.closed = True


def ledger_of(folder: Path) -> list[dict[str, Any]]:
    path = folder / "ledger.jsonl"
    return [orjson.loads(line) for line in path.read_bytes().splitlines()] if path.exists() else []


def test_numbers_of_nested_objects_go_under_their_path() -> None:
    line = {"step": 3, "loss": 2.5, "mfu": None, "data_hash": "ab", "val_by_source": {"a": {"loss": 1.0}}}
    assert dict(flatten(line)) == {"step": 3, "loss": 2.5, "val_by_source/a/loss": 1.0}


def test_a_sink_sees_every_line_and_is_closed(tmp_path: Path) -> None:
    sink = Memory()
    mirror = Mirror("memory", lambda: sink, Ledger(tmp_path / "ledger.jsonl", writes=True))
    mirror.add({"step": 1, "loss": 2.0})
    mirror.add({"step": 2, "loss": 1.0})
    mirror.close()
    assert sink.seen == [(1, {"step": 1, "loss": 2.0}), (2, {"step": 2, "loss": 1.0})]
    assert sink.closed
    assert ledger_of(tmp_path) == []


@pytest.mark.parametrize("error", [RuntimeError("no network"), SystemExit(3), KeyboardInterrupt()])
def test_a_failing_sink_is_off_with_a_warning_and_an_entry(
    error: BaseException, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    mirror = Mirror("memory", lambda: Memory(error), Ledger(tmp_path / "ledger.jsonl", writes=True))
    with caplog.at_level(logging.WARNING, logger="llmforge"):
        for step in range(3):
            mirror.add({"step": step})
        mirror.close()
    assert [entry["event"] for entry in ledger_of(tmp_path)] == ["mirror"]
    assert type(error).__name__ in ledger_of(tmp_path)[0]["reason"]
    assert "the training goes on" in caplog.text


def test_a_sink_that_hangs_costs_lines_and_not_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mirrors, "_MOST_WAITING", 2)
    monkeypatch.setattr(mirrors, "_LAST_WORDS_S", 0.1)
    never = threading.Event()
    mirror = Mirror("memory", lambda: Memory(waits_for=never), Ledger(tmp_path / "ledger.jsonl", writes=True))
    for step in range(10):
        mirror.add({"step": step})
    mirror.close()
    never.set()
    assert "too slow" in ledger_of(tmp_path)[0]["reason"]


def test_a_missing_package_stops_before_the_first_step(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mirrors, "find_spec", lambda _: None)
    with pytest.raises(MachineError, match=r"train.report_to: the package wandb is not installed"):
        train(make_settings(folder, report_to=("wandb",)))


def test_a_training_whose_mirror_fails_ends_in_the_same_weights(
    folder: Path, undisturbed: TrainOutcome, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> Sink:
        raise OSError("no space for events")

    sinks: dict[str, Callable[..., Sink]] = {"tensorboard": refuse}
    monkeypatch.setattr(mirrors, "_SINKS", sinks)
    outcome = train(make_settings(folder, report_to=("tensorboard",)))
    assert final_weights(outcome.folder) == final_weights(undisturbed.folder)
    assert ledger_of(outcome.folder)[0]["reason"] == "tensorboard is off: OSError: no space for events"


def test_tensorboard_holds_the_losses_of_the_metrics(folder: Path) -> None:
    reader = pytest.importorskip(
        "tensorboard.backend.event_processing.event_accumulator", reason="tensorboard is not installed"
    )
    outcome = train(make_settings(folder, report_to=("tensorboard",)))
    events = reader.EventAccumulator(str(outcome.folder / "tensorboard"))
    events.Reload()
    lines = [orjson.loads(line) for line in (outcome.folder / "metrics.jsonl").read_bytes().splitlines()]
    shown = [(event.step, event.value) for event in events.Scalars("loss")]
    assert shown == [(line["step"], pytest.approx(line["loss"], rel=1e-6)) for line in lines]
    for source, figures in lines[-1]["val_by_source"].items():
        last = events.Scalars(f"val_by_source/{source}/bits_per_byte")[-1]
        assert (last.step, last.value) == (lines[-1]["step"], pytest.approx(figures["bits_per_byte"], rel=1e-6))


@pytest.mark.slow
def test_wandb_keeps_a_run_without_a_network(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("wandb", reason="wandb is not installed")
    monkeypatch.setenv("WANDB_MODE", "offline")
    outcome = train(make_settings(folder, report_to=("wandb",)))
    assert ledger_of(outcome.folder) == []
    assert list((outcome.folder / "wandb").glob("offline-run-*/*.wandb"))
