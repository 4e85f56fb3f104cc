"""The training as a stage: up to date, refused, set aside, made longer; and what its manifest reports."""

import math
from pathlib import Path

import orjson
import pytest
import torch
from tiny_run import BATCH_TOKENS, STEPS, make_settings

from llmforge.config.schema import Settings
from llmforge.core.errors import DivergedError, InputError, MachineError
from llmforge.pipeline.inputs import open_artifact
from llmforge.tokenize.token_store import TokenStore
from llmforge.train import checkpoint
from llmforge.train.checkpoint import check_disk, check_finite
from llmforge.train.faults import VARIABLE
from llmforge.train.folder import TrainFolder
from llmforge.train.metrics import cut_after
from llmforge.train.stage import TrainOutcome, train


def metrics(folder: Path) -> list[dict]:
    return [orjson.loads(line) for line in (folder / "tiny/train/metrics.jsonl").read_bytes().splitlines()]


def ledger(folder: Path) -> list[dict]:
    return [orjson.loads(line) for line in (folder / "tiny/train/ledger.jsonl").read_bytes().splitlines()]


def longer(settings: Settings, steps: int) -> Settings:
    return settings.model_copy(update={"train": settings.train.model_copy(update={"tokens": steps * BATCH_TOKENS})})


def test_the_manifest_says_what_was_trained(undisturbed: TrainOutcome) -> None:
    manifest = open_artifact(undisturbed.folder.parent, "train").manifest
    results = manifest.results
    assert (manifest.state, results["steps"], results["tokens"]) == ("finished", STEPS, STEPS * BATCH_TOKENS)
    assert results["params"] == 36_224
    assert manifest.execution["precision"] == "fp32"
    assert results["val_loss"] < results["train_loss"] + 1
    assert results["val_loss"] == pytest.approx(math.log(300), abs=0.3)  # barely trained
    assert 3 < results["gzip_bits_per_byte"] < 5
    assert 4 < results["unigram_bits_per_byte"] < 6
    assert manifest.find_damage(undisturbed.folder, contents=True) is None


def test_every_metric_is_there(undisturbed: TrainOutcome) -> None:
    lines = metrics(undisturbed.folder.parent.parent)
    assert [line["step"] for line in lines] == list(range(1, STEPS + 1))
    assert [line["step"] for line in lines if "val_loss" in line] == [5, 10, 12]
    for line in lines:
        assert line["tokens"] == line["step"] * BATCH_TOKENS
        assert line["mfu"] is None
        assert min(line["tokens_per_s"], line["step_s"], line["peak_memory_bytes"], line["grad_norm"], line["lr"]) > 0
    assert len({line["data_hash"] for line in lines}) == STEPS


def test_samples_are_written(undisturbed: TrainOutcome) -> None:
    samples = [orjson.loads(line) for line in (undisturbed.folder / "samples.jsonl").read_bytes().splitlines()]
    assert samples[0]["prompt"] == ""
    assert all(sample["text"].startswith(sample["prompt"]) for sample in samples)
    assert len(samples) >= 2


def test_the_same_again_is_up_to_date(folder: Path) -> None:
    settings = make_settings(folder)
    assert train(settings).status == "built"
    before = (folder / "tiny/train/manifest.json").read_bytes()
    assert train(settings).status == "up to date"
    assert (folder / "tiny/train/manifest.json").read_bytes() == before
    (folder / "tiny/train/samples.jsonl").unlink()
    with pytest.raises(InputError, match=r"samples\.jsonl: named in the manifest, but not there"):
        train(settings)
    assert train(settings, force=True).status == "resumed"
    assert train(settings, force=True, always=True).status == "built"


def test_training_longer_goes_on_and_is_told(folder: Path) -> None:
    settings = make_settings(folder)
    train(settings)
    assert train(longer(settings, STEPS + 4)).status == "resumed"
    assert [line["step"] for line in metrics(folder)] == list(range(1, STEPS + 5))
    assert ledger(folder)[0] == {"event": "changed", "step": STEPS, "num_steps": [STEPS, STEPS + 4]}
    with pytest.raises(InputError, match=r"16 steps are trained, and train.tokens asks for 8") as error:
        train(longer(settings, 8))
    assert "set train.tokens higher" in str(error.value)


def test_another_training_is_set_aside_until_the_new_one_has_a_checkpoint(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings, other = make_settings(folder), make_settings(folder, max_grad_norm=0.5)
    train(settings)
    with pytest.raises(InputError, match=r"train.max_grad_norm: was absent \(or the default\), now 0.5"):
        train(other)
    monkeypatch.setenv(VARIABLE, "nan@step=2")
    with pytest.raises(DivergedError):
        train(other, force=True)
    assert (folder / "tiny/train.old/checkpoints").is_dir()
    monkeypatch.delenv(VARIABLE)
    train(other)
    assert not (folder / "tiny/train.old").exists()
    assert open_artifact(folder / "tiny", "train").manifest.identity["settings"]["train"]["max_grad_norm"] == 0.5


def test_a_training_that_was_set_aside_comes_back_if_no_new_one_began(folder: Path) -> None:
    settings = make_settings(folder)
    train(settings)
    (folder / "tiny/train").rename(folder / "tiny/train.old")
    assert train(settings).status == "up to date"


def test_a_half_written_checkpoint_does_not_take_the_place_of_a_whole_one(tmp_path: Path) -> None:
    (tmp_path / "train.old/checkpoints/step-00000004").mkdir(parents=True)
    (tmp_path / "train/checkpoints/step-00000004.partial").mkdir(parents=True)
    TrainFolder(tmp_path).set_aside()
    assert (tmp_path / "train.old/checkpoints/step-00000004").is_dir()
    assert not (tmp_path / "train").exists()


def test_what_is_not_finite_stops_the_run_before_the_update(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "nan@step=6")
    with pytest.raises(DivergedError, match=r"step 6: loss nan, gradient norm nan; .* documents: .*topic:") as error:
        train(make_settings(folder))
    assert error.value.exit_code == 5
    status = orjson.loads((folder / "tiny/train/status.json").read_bytes())
    assert (status["state"], status["exit_code"]) == ("diverged", 5)
    assert orjson.loads((folder / "tiny/train/manifest.json").read_bytes())["state"] == "diverged"
    assert ledger(folder)[0]["event"] == "diverged"
    assert len(ledger(folder)[0]["documents"]) > 3
    assert sorted(path.name for path in (folder / "tiny/train/checkpoints").iterdir()) == ["latest", "step-00000004"]


def test_a_full_disk_is_told_before_training(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkpoint, "free_bytes", lambda _: 500_000)
    with pytest.raises(MachineError, match=r"0.5 MB are free, and two checkpoints need about 0.9 MB"):
        train(make_settings(folder))
    assert not (folder / "tiny/train/metrics.jsonl").exists()
    check_disk(folder, 250_000)


def test_weights_that_are_not_finite_are_not_saved(tmp_path: Path) -> None:
    from safetensors.torch import save_file

    save_file({"good": torch.ones(2), "bad": torch.tensor([1.0, math.inf])}, tmp_path / "w.safetensors")
    with pytest.raises(DivergedError, match="bad holds values that are not finite; this state is not saved"):
        check_finite(tmp_path / "w.safetensors")


def test_a_weight_that_does_nothing_is_a_warning(folder: Path) -> None:
    settings = make_settings(folder)
    name = TokenStore.open(folder / "tiny/tokenize", "train").shards[0].source
    sources = ({"path": name, "name": name, "weight": 0.0001}, {"path": "z", "name": "z", "weight": 2.0})
    settings = Settings.model_validate({**settings.model_dump(), "curate": {"sources": sources}})
    with pytest.raises(InputError, match="no source fills a window"):
        train(settings, strict=True)
    kept = Settings.model_validate({**settings.model_dump(), "curate": {"sources": sources[1:]}})
    with pytest.raises(InputError, match="--strict: the training has warnings") as error:
        train(kept, force=True, strict=True)
    assert "source 'z' has a weight, but no training tokens" in error.value.what


def test_lost_metrics_are_no_results(folder: Path) -> None:
    settings = make_settings(folder)
    train(settings)
    cut_after(folder / "tiny/train/metrics.jsonl", 3)
    with pytest.raises(InputError, match="holds no line of the last step, 12"):
        train(settings, force=True)


def test_training_needs_tokens(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="the stage 'tokenize' has not finished"):
        train(make_settings(tmp_path))


def test_the_cost_of_a_checkpoint_is_told_once(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    train(make_settings(folder, checkpoint={"every_steps": 6}))
    told = [line for line in caplog.messages if "a checkpoint takes" in line]
    assert len(told) == 1
    assert told[0].startswith("train: a checkpoint takes 0.4 MB and holds training up for ")
