"""Guards: faults on request, requests to stop, and whose error counts."""

import os
import signal
from pathlib import Path

import orjson
import pytest
import torch

from llmforge.core.errors import InputError, MachineError, SettingsError
from llmforge.parallel.process_group import World
from llmforge.train.faults import VARIABLE, Fault, read_faults
from llmforge.train.folder import TrainFolder
from llmforge.train.guards import StopRequest
from llmforge.train.ledger import Ledger
from llmforge.train.stage import _reported
from llmforge.train.status import Failure, Status, StatusFolder, launched_rank

ALONE = World(0, 1, 0, torch.device("cpu"))


def test_faults_are_read_from_the_environment() -> None:
    assert read_faults({}) == ()
    assert read_faults({VARIABLE: "kill@step=7,rank=1; nan@step=5"}) == (Fault("kill", 7, 1), Fault("nan", 5))


@pytest.mark.parametrize("text", ["kill", "melt@step=3", "kill@step=x", "kill@rank=1", "kill@step=1,attempt=2"])
def test_a_fault_that_cannot_be_understood_is_an_error(text: str) -> None:
    with pytest.raises(SettingsError, match="LLMFORGE_FAULTS: cannot understand") as error:
        read_faults({VARIABLE: text})
    assert "KIND@step=N" in str(error.value)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1])
def test_a_signal_is_a_request_to_stop(tmp_path: Path, number: signal.Signals) -> None:
    before = signal.getsignal(number)
    with StopRequest(ALONE, StatusFolder(tmp_path)) as stop:
        assert not stop.agreed()
        os.kill(os.getpid(), number)
        os.kill(os.getpid(), number)  # a second one changes nothing
        assert stop.agreed()
    assert signal.getsignal(number) == before


def test_a_launcher_asks_through_a_file(tmp_path: Path) -> None:
    status = StatusFolder(tmp_path)
    with StopRequest(ALONE, status) as stop:
        status.ask_to_stop()
        assert stop.agreed()
        status.clear()
        assert not stop.agreed()


def test_the_first_cause_counts_and_not_what_followed(tmp_path: Path) -> None:
    status = StatusFolder(tmp_path)
    assert status.first_failure() is None
    status.fail(Failure.of(0, RuntimeError("[gloo/transport/tcp/pair.cc] Connection closed by peer")))
    status.fail(Failure.of(2, InputError("shard 7 is damaged", "rebuild it")))
    status.fail(Failure.of(1, MachineError("the disk is full")))
    first = status.first_failure()
    assert first is not None
    assert (first.rank, first.message, first.hint, first.exit_code) == (2, "shard 7 is damaged", "rebuild it", 3)
    status.write(Status(state="failed", exit_code=3))
    status.clear()
    assert (status.first_failure(), status.read()) == (None, None)


def test_an_unknown_error_is_a_bug_and_keeps_its_kind() -> None:
    failure = Failure.of(1, KeyError("x"))
    assert (failure.message, failure.exit_code, failure.consequence) == ("KeyError: 'x'", 1, False)


@pytest.mark.parametrize(
    ("environment", "rank"), [({}, None), ({"RANK": "0"}, None), ({"RANK": "3", "WORLD_SIZE": "4"}, 3)]
)
def test_a_launched_rank_knows_itself(
    monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], rank: int | None
) -> None:
    for name in ("RANK", "WORLD_SIZE"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert launched_rank() == rank


def test_the_ledger_appends_on_one_rank_only(tmp_path: Path) -> None:
    path = tmp_path / "ledger.jsonl"
    Ledger(path, writes=False).add("fall-back", 4)
    assert not path.exists()
    Ledger(path, writes=True).add("fall-back", 4, damaged_step=8)
    Ledger(path, writes=True).add("changed", 5)
    assert [orjson.loads(line)["step"] for line in path.read_bytes().splitlines()] == [4, 5]


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (RuntimeError("[gloo/transport/tcp/pair.cc] Connection closed by peer"), MachineError),
        (KeyError("x"), KeyError),
        (InputError("shard 7: Connection is a word of it"), InputError),
    ],
)
def test_a_rank_that_lost_the_others_is_no_bug(tmp_path: Path, error: Exception, expected: type[Exception]) -> None:
    with pytest.raises(expected) as raised, _reported(TrainFolder(tmp_path), 1):
        raise error
    if expected is MachineError:
        assert "rank 1 lost the others: RuntimeError: [gloo" in str(raised.value)
