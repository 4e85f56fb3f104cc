"""What every stage promises, asked of each one with the same questions."""

import hashlib
import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from corpus import settings_text

from llmforge.cli.stages import find_stage
from llmforge.config.load import load_settings
from llmforge.config.schema import Settings
from llmforge.core.errors import InputError
from llmforge.pipeline.build import BuildOptions, Built, build_stage, plan_stage

STAGES = ("curate", "dedup", "tokenize", "plan-scaling")
CHANGES = {
    "curate": ("curate.language.min_score=0.1", "curate.language.min_score: was absent (or the default), now 0.1"),
    "dedup": ("dedup.minhash.verify_jaccard=0.9", "dedup.minhash.verify_jaccard: was absent (or the default), now 0.9"),
    "tokenize": ("tokenize.vocab_size=600", "tokenize.vocab_size: was 512, now 600"),
    "plan-scaling": ("plan_scaling.utilization=0.2", "plan_scaling.utilization: was absent (or the default), now 0.2"),
}


@pytest.fixture(scope="module")
def make(corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Settings]:
    """Settings of a run in one shared folder of runs."""
    folder = tmp_path_factory.mktemp("stages")
    config = folder / "c.yaml"
    config.write_text(settings_text(corpus, folder / "runs"))
    return lambda *sets: load_settings(config, sets).settings


@pytest.fixture(scope="module")
def finished(make: Callable[..., Settings]) -> Settings:
    """A run whose stages are all built, with one worker."""
    settings = make()
    for stage in STAGES:
        assert build(stage, settings).status == "built"
    return settings


def build(stage: str, settings: Settings, *, force: bool = False) -> Built:
    return build_stage(find_stage(stage), settings, settings.run_folder, BuildOptions(force=force))


def tree(folder: Path) -> dict[str, str]:
    files = [path for path in sorted(folder.rglob("*")) if path.is_file() and path.name != "manifest.json"]
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


@pytest.fixture
def copy(finished: Settings, make: Callable[..., Settings]) -> Iterator[Callable[..., Settings]]:
    """A copy of the finished run in another place, with further settings."""
    place = f"run.dir={finished.run_folder.parent}-copies"

    def of(*sets: str) -> Settings:
        settings = make(place, *sets)
        shutil.copytree(finished.run_folder, settings.run_folder, dirs_exist_ok=True)
        return settings

    yield of
    shutil.rmtree(make(place).run_folder, ignore_errors=True)


@pytest.mark.parametrize("stage", STAGES)
def test_every_document_and_byte_is_accounted_for(finished: Settings, stage: str) -> None:
    manifest = json.loads((finished.run_folder / stage / "manifest.json").read_text())
    for account in [manifest["counts"], *manifest["counts"]["by_source"].values()]:
        for unit in ("documents", "bytes"):
            flow = account[unit]
            lost = sum(flow["dropped"].values()) + sum(flow["quarantined"].values()) + flow["merged"] + flow["edited"]
            assert flow["in"] == flow["kept"] + lost
    if stage in ("dedup", "tokenize"):
        before = json.loads((finished.run_folder / STAGES[STAGES.index(stage) - 1] / "manifest.json").read_text())
        assert manifest["counts"]["documents"]["in"] == before["counts"]["documents"]["kept"] > 50
        assert manifest["counts"]["bytes"]["in"] == before["counts"]["bytes"]["kept"]


@pytest.mark.parametrize("stage", STAGES)
def test_the_same_command_again_is_up_to_date(finished: Settings, stage: str) -> None:
    before = tree(finished.run_folder / stage)
    assert build(stage, finished).status == "up to date"
    assert tree(finished.run_folder / stage) == before


@pytest.mark.parametrize("stage", STAGES)
def test_another_setting_is_named_and_refused_until_forced(copy: Callable[..., Settings], stage: str) -> None:
    change, says = CHANGES[stage]
    settings = copy(change)
    before = tree(settings.run_folder / stage)
    with pytest.raises(InputError) as caught:
        build(stage, settings)
    assert says in str(caught.value)
    assert tree(settings.run_folder / stage) == before
    assert build(stage, settings, force=True).status == "rebuilt"
    assert build(stage, settings).status == "up to date"


@pytest.mark.parametrize("stage", STAGES)
def test_two_workers_write_the_same_bytes_as_one(copy: Callable[..., Settings], finished: Settings, stage: str) -> None:
    settings = copy("run.workers=2")
    shutil.rmtree(settings.run_folder / stage)
    assert build(stage, settings).status == "built"
    assert tree(settings.run_folder / stage) == tree(finished.run_folder / stage)


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("step", ["first", "last"])
def test_an_interrupted_stage_resumes_to_the_same_bytes(
    copy: Callable[..., Settings], finished: Settings, stage: str, step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings, built = copy(), find_stage(stage)
    shutil.rmtree(settings.run_folder / stage)
    target = type(built.steps[0 if step == "first" else -1])
    with monkeypatch.context() as patch:
        patch.setattr(target, "finish", _stop)
        with pytest.raises(KeyboardInterrupt):
            build(stage, settings)
    records = sorted((settings.run_folder / f"{stage}.partial").rglob("records/*.json"))
    assert records
    records[-1].unlink()
    assert build(stage, settings).status == "resumed"
    assert tree(settings.run_folder / stage) == tree(finished.run_folder / stage)


def _stop(*_: object) -> None:
    raise KeyboardInterrupt


@pytest.mark.parametrize("stage", STAGES)
def test_a_dry_run_says_something_and_writes_nothing(copy: Callable[..., Settings], stage: str) -> None:
    settings = copy()
    before = tree(settings.run_folder)
    assert len(plan_stage(find_stage(stage), settings, settings.run_folder)) >= 2
    assert tree(settings.run_folder) == before


@pytest.mark.parametrize("stage", ["dedup", "tokenize"])
def test_a_stage_without_what_it_reads_says_what_to_run(make: Callable[..., Settings], stage: str) -> None:
    settings = make("run.name=empty")
    with pytest.raises(
        InputError, match=f"has not finished\n  hint: run `llmforge {STAGES[STAGES.index(stage) - 1]}` first"
    ):
        build(stage, settings)
