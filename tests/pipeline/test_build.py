import hashlib
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from toy_stage import ToyStage

from llmforge.config.schema import Settings
from llmforge.core.errors import InputError, MachineError
from llmforge.core.files import read_json, write_json
from llmforge.core.shards import read_objects
from llmforge.pipeline.build import BuildOptions, Built, build_stage, plan_stage
from llmforge.pipeline.inputs import open_artifact
from llmforge.pipeline.lock import run_lock

Make = Callable[..., Settings]
PLAIN, FORCE = BuildOptions(), BuildOptions(force=True)


def build(settings: Settings, options: BuildOptions = PLAIN, stage: ToyStage | None = None) -> Built:
    return build_stage(stage or ToyStage(), settings, settings.run_folder, options)


def tree(folder: Path) -> dict[str, str]:
    """Every file but the manifest, which holds times, by content."""
    files = [path for path in sorted(folder.rglob("*")) if path.is_file() and path.name != "manifest.json"]
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def test_a_stage_is_built_once_and_then_up_to_date(settings: Make) -> None:
    first = build(settings())
    assert first.status == "built"
    account = first.manifest.account.total
    assert (account.documents.came_in, account.documents.kept, account.documents.dropped) == (205, 200, {"too_long": 5})
    assert account.bytes.came_in == account.bytes.kept + 5 * 2000
    assert first.manifest.results == {"lines": 205}
    assert [output.path for output in first.manifest.outputs][-1] == "lines.json"
    assert len(list(read_objects(first.folder / "data" / "00000.jsonl.zst"))) == 40
    assert not (first.folder / "work").exists()
    assert build(settings()).status == "up to date"


def test_one_and_two_workers_give_the_same_bytes(settings: Make) -> None:
    one = tree(build(settings()).folder)
    two = tree(build(settings("run.name=two", "run.workers=2")).folder)
    assert one == two
    assert len(one) == 5 + 5 + 1


def test_a_changed_setting_is_named_and_nothing_is_overwritten(settings: Make) -> None:
    before = tree(build(settings()).folder)
    changed = settings("curate.max_record_bytes=4096")
    with pytest.raises(InputError) as caught:
        build(changed)
    assert "curate.max_record_bytes: was 1024, now 4096" in str(caught.value)
    assert "--force rebuilds it" in str(caught.value)
    assert tree(changed.run_folder / "toy") == before
    rebuilt = build(changed, FORCE)
    assert rebuilt.status == "rebuilt"
    assert rebuilt.manifest.account.total.documents.kept == 205
    assert sorted(path.name for path in changed.run_folder.iterdir()) == [".hashes.json", "toy"]


def test_a_changed_input_package_seed_or_version_is_named(settings: Make, lines: Path) -> None:
    build(settings())
    with pytest.raises(InputError, match="seed: was 1234, now 5"):
        build(settings("run.seed=5"))
    with pytest.raises(InputError, match="version: was 1, now 2"):
        build(settings(), stage=replace(ToyStage(), version=2))
    with pytest.raises(InputError, match=r"package numpy: was absent"):
        build(settings(), stage=replace(ToyStage(), packages=("zstandard", "numpy")))
    (lines / "3.txt").write_text("other\n")
    with pytest.raises(InputError, match=r"input toy:3\.txt: was '"):
        build(settings())


def test_a_moved_input_is_the_same_input(settings: Make, lines: Path, tmp_path: Path) -> None:
    build(settings())
    shutil.copytree(lines, tmp_path / "moved")
    assert build(settings(f"curate.sources=[{{path: {tmp_path / 'moved'}}}]")).status == "up to date"


def test_an_interrupted_build_resumes_and_redoes_only_what_is_missing(settings: Make) -> None:
    whole = tree(build(settings("run.name=whole")).folder)
    broken = settings()
    with pytest.raises(ZeroDivisionError):
        build_stage(_DiesInReview(), broken, broken.run_folder, PLAIN)
    partial = broken.run_folder / "toy.partial"
    kept = partial / "data" / "00001.jsonl.zst"
    inode = kept.stat().st_ino
    (partial / "records" / "00003.json").unlink()
    (partial / "data" / "00004.jsonl.zst.tmp-99").write_bytes(b"left by a killed process")
    resumed = build(broken)
    assert resumed.status == "resumed"
    assert resumed.manifest.sessions == 2
    assert tree(resumed.folder) == whole
    assert (resumed.folder / "data" / "00001.jsonl.zst").stat().st_ino == inode


class _DiesInReview(ToyStage):
    def review(self, settings, counts):
        raise ZeroDivisionError


def test_an_interrupted_build_of_another_identity_is_not_mixed_in(settings: Make) -> None:
    with pytest.raises(ZeroDivisionError):
        build_stage(_DiesInReview(), settings(), settings().run_folder, PLAIN)
    with pytest.raises(InputError, match=r"toy\.partial: made with other settings"):
        build(settings("curate.max_record_bytes=4096"))
    assert build(settings("curate.max_record_bytes=4096"), FORCE).manifest.account.total.documents.kept == 205


@pytest.mark.parametrize("moment", ["before the swap", "between the renames", "after the swap"])
def test_a_half_done_swap_is_finished_by_the_next_start(settings: Make, moment: str) -> None:
    old = build(settings()).folder
    new = build(settings("run.name=new", "curate.max_record_bytes=4096")).folder
    expected = tree(new)
    shutil.copytree(new, old.with_name("toy.partial"))
    write_json(old.with_name("toy.partial") / "identity.json", {"identity": {}, "sessions": 1})
    if moment != "before the swap":
        old.rename(old.with_name("toy.old"))
    if moment == "after the swap":
        old.with_name("toy.partial").rename(old)
        (old / "identity.json").unlink()
    again = build(settings("curate.max_record_bytes=4096"))
    assert again.status == "up to date"
    assert tree(again.folder) == expected
    assert sorted(path.name for path in old.parent.iterdir()) == [".hashes.json", "toy"]


def test_a_damaged_artifact_is_named_and_rebuilt_with_force(settings: Make) -> None:
    folder = build(settings()).folder
    damaged = folder / "data" / "00002.jsonl.zst"
    damaged.write_bytes(damaged.read_bytes()[:-1])
    with pytest.raises(InputError, match=r"00002\.jsonl\.zst: \d+ bytes, but the manifest says"):
        build(settings())
    with pytest.raises(InputError, match=r"rebuild it: llmforge toy --force"):
        open_artifact(folder.parent, "toy")
    assert build(settings(), FORCE).status == "rebuilt"
    flipped = bytearray(damaged.read_bytes())
    flipped[40] ^= 1
    damaged.write_bytes(flipped)
    assert "SHA-256 differs" in str(open_artifact(folder.parent, "toy").manifest.find_damage(folder, contents=True))


def test_an_edited_or_newer_manifest_is_refused(settings: Make) -> None:
    folder = build(settings()).folder
    value = read_json(folder / "manifest.json")
    write_json(folder / "manifest.json", {**value, "schema": 99})
    with pytest.raises(InputError, match="schema 99, but this version of llmforge reads schema 1"):
        build(settings())
    write_json(folder / "manifest.json", {**value, "surprise": 1})
    with pytest.raises(InputError, match="not a manifest"):
        build(settings())


def test_too_many_bad_records_stop_the_stage_and_keep_its_work(settings: Make, lines: Path) -> None:
    (lines / "1.txt").write_text("!\n!\nfine\n")
    with pytest.raises(InputError) as caught:
        build(settings())
    assert "source 'toy': 2 of 167 records are bad (bad_line 2); allowed is a share of 0.001" in str(caught.value)
    assert not (settings().run_folder / "toy").exists()
    assert len(list((settings().run_folder / "toy.partial" / "records").iterdir())) == 5
    allowed = build(settings("curate.max_bad_fraction=0.05"), FORCE)
    assert allowed.manifest.account.total.documents.quarantined == {"bad_line": 2}


def test_a_rule_that_does_nothing_or_too_much_is_a_warning(settings: Make) -> None:
    silent = build(settings("curate.max_record_bytes=4096"))
    assert silent.manifest.warnings == ["too_long judged 205 documents and dropped or changed none"]
    with pytest.raises(InputError, match="--strict: the stage has warnings"):
        build(settings("curate.max_record_bytes=4096", "run.name=strict"), BuildOptions(strict=True))
    eager = build(settings("curate.max_drop_share=0.01", "run.name=eager"))
    assert eager.manifest.warnings == ["too_long dropped 5 of the 205 documents of 'toy'"]


def test_a_dying_worker_is_tried_once_more_alone(settings: Make, tmp_path: Path, monkeypatch, caplog) -> None:
    whole = tree(build(settings("run.name=whole")).folder)
    monkeypatch.setenv("TOY_DIES_ON", str(tmp_path / "2.txt"))
    monkeypatch.setenv("TOY_DIES", "once")
    survived = build(settings("run.workers=2"))
    assert tree(survived.folder) == whole
    monkeypatch.setenv("TOY_DIES", "always")
    with pytest.raises(MachineError, match=r"2\.txt: the worker process died twice"):
        build(settings("run.workers=2", "run.name=again"))


def test_a_run_has_one_writer(settings: Make) -> None:
    folder = settings().run_folder
    with run_lock(folder):
        with pytest.raises(MachineError, match=r"in use by process \d+ on "), run_lock(folder):
            pass
    with run_lock(folder):
        pass


def test_a_dry_run_writes_nothing(settings: Make) -> None:
    lines = plan_stage(ToyStage(), settings(), settings().run_folder)
    assert lines[0].startswith("reads  5 files and 0 artifacts")
    assert lines[1] == "steps  measure, copy; 5 shards in the first"
    assert not settings().run_folder.exists()


def test_what_is_not_built_yet_is_asked_for(settings: Make) -> None:
    with pytest.raises(InputError, match="the stage 'toy' has not finished"):
        open_artifact(settings().run_folder, "toy")
