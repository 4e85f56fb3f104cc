"""Texts on the way: every checkpoint writes, and a resumed run's file is the undisturbed one's."""

import shutil
from pathlib import Path

import orjson
import pytest
from tiny_run import STEPS, final_weights, make_settings

from llmforge.core.errors import Preempted
from llmforge.train.faults import VARIABLE
from llmforge.train.stage import TrainOutcome, train

_EVERY = {"every_steps": 4, "samples": True}


def samples_of(outcome: TrainOutcome) -> bytes:
    return (outcome.folder / "samples.jsonl").read_bytes()


def test_only_the_end_writes_unless_asked_for_more(undisturbed: TrainOutcome) -> None:
    steps = {orjson.loads(line)["step"] for line in samples_of(undisturbed).splitlines()}
    assert steps == {STEPS}


def test_every_checkpoint_writes_and_a_resumed_run_writes_the_same(
    folder: Path,
    tokenized: Path,
    undisturbed: TrainOutcome,
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    whole = train(make_settings(folder, checkpoint=_EVERY))
    steps = [orjson.loads(line)["step"] for line in samples_of(whole).splitlines()]
    assert sorted(set(steps)) == [4, 8, STEPS]
    assert len(steps) % 3 == 0
    assert final_weights(whole.folder) == final_weights(undisturbed.folder)
    other = tmp_path_factory.mktemp("interrupted")
    shutil.copytree(tokenized, other, dirs_exist_ok=True)
    monkeypatch.setenv(VARIABLE, "term@step=7")
    with pytest.raises(Preempted):
        train(make_settings(other, checkpoint=_EVERY))
    monkeypatch.delenv(VARIABLE)
    lines = [orjson.loads(line) for line in samples_of(train(make_settings(other, checkpoint=_EVERY))).splitlines()]
    at_checkpoints = [line for line in lines if line["step"] in (4, 8, STEPS)]
    assert at_checkpoints == [orjson.loads(line) for line in samples_of(whole).splitlines()]
    assert {line["step"] for line in lines} - {4, 8, STEPS} == {7}


def test_texts_that_a_killed_run_had_not_written_are_written_when_it_goes_on(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = make_settings(folder, checkpoint=_EVERY)
    monkeypatch.setenv(VARIABLE, "term@step=5")  # after step 4 was published
    with pytest.raises(Preempted):
        train(settings)
    monkeypatch.delenv(VARIABLE)
    path = settings.run_folder / "train" / "samples.jsonl"
    written = path.read_bytes()
    path.write_bytes(b"")
    assert samples_of(train(settings)).startswith(b"".join(_of_step(written, 5)))


def _of_step(written: bytes, step: int) -> list[bytes]:
    return [line for line in written.splitlines(keepends=True) if orjson.loads(line)["step"] == step]
