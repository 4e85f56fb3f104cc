"""Training on best-fit rows under a document mask: a training like any other, and another one than without."""

from pathlib import Path

import pytest
from tiny_run import BATCH_TOKENS, STEPS, losses, make_settings

from llmforge.cli.training_rows import read_rows
from llmforge.core.errors import InputError
from llmforge.core.files import write_bytes
from llmforge.train.stage import TrainOutcome, train
from llmforge.train.trace import trace_step

PACKED = {"packing": "best_fit", "document_mask": True}


@pytest.fixture
def packed(folder: Path, caplog: pytest.LogCaptureFixture) -> TrainOutcome:
    with caplog.at_level("INFO", logger="llmforge"):
        return train(make_settings(folder, **PACKED))


def test_it_trains_and_tells_what_packing_costs(
    packed: TrainOutcome, undisturbed: TrainOutcome, caplog: pytest.LogCaptureFixture
) -> None:
    (costs,) = [record.message for record in caplog.get_records("setup") if "best_fit breaks" in record.message]
    assert "concatenate breaks" in costs
    assert packed.manifest is not None
    assert undisturbed.manifest is not None
    results, plain = packed.manifest.results, undisturbed.manifest.results
    assert results["steps"] == STEPS
    assert 0.9 * STEPS * BATCH_TOKENS < results["tokens"] <= STEPS * BATCH_TOKENS  # padding is no token
    assert results["val_loss"] == pytest.approx(plain["val_loss"], abs=0.3)
    assert losses(packed.folder) != losses(undisturbed.folder)


def test_it_repeats_itself_and_is_another_training(packed: TrainOutcome, folder: Path) -> None:
    before = losses(packed.folder)
    train(make_settings(folder, **PACKED), force=True, always=True)
    assert losses(packed.folder) == before
    with pytest.raises(InputError, match="document_mask"):
        train(make_settings(folder, packing="best_fit"))


def test_a_step_is_traced_and_its_rows_are_shown(packed: TrainOutcome, folder: Path) -> None:
    run = packed.folder.parent
    write_bytes(run / "run.yaml", make_settings(folder, **PACKED).model_dump_json().encode())
    shown = read_rows(run, "train", 0, 8)
    traced = {span.id for span in trace_step(run, 1).documents}
    assert {part.document.id for row in shown for part in row.parts} == traced
    for row in shown:
        assert sum(part.num_tokens for part in row.parts) <= 17
