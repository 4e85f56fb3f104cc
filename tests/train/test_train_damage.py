"""Damage to a checkpoint, anywhere in it, is found before use; and which checkpoints stay."""

import random
import shutil
from pathlib import Path

import pytest
from tiny_run import make_settings

from llmforge.core.errors import InputError
from llmforge.core.files import read_json, to_json
from llmforge.model.saved import MANIFEST, verify_checkpoint
from llmforge.train.stage import TrainOutcome, train

PLACES = 200


@pytest.fixture(scope="module")
def checkpoint(undisturbed: TrainOutcome, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of a checkpoint of the tiny run."""
    newest = max((undisturbed.folder / "checkpoints").glob("step-????????"))
    return Path(shutil.copytree(newest, tmp_path_factory.mktemp("damage") / newest.name))


def is_detected(checkpoint: Path, path: Path, damaged: bytes) -> bool:
    """Whether the checkpoint is refused while the file holds these bytes; the file is put back afterwards."""
    whole = path.read_bytes()
    path.write_bytes(damaged)
    try:
        verify_checkpoint(checkpoint)
    except InputError:
        return True
    finally:
        path.write_bytes(whole)
    return False


def flipped(data: bytes, bit: int) -> bytes:
    changed = bytearray(data)
    changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)


@pytest.mark.parametrize("kind", ["flip", "cut"])
def test_200_random_places_of_all_files_are_200_detections(checkpoint: Path, kind: str) -> None:
    draw = random.Random(0)
    verify_checkpoint(checkpoint)
    files = sorted(checkpoint.iterdir())
    for number in range(PLACES):
        path = files[number % len(files)]  # file by file, or the small ones would never be drawn
        data = path.read_bytes()
        place = draw.randrange(len(data))
        damaged = data[:place] if kind == "cut" else flipped(data, 8 * place + draw.randrange(8))
        assert is_detected(checkpoint, path, damaged), f"{kind} at byte {place} of {path.name}"
    verify_checkpoint(checkpoint)


def test_every_byte_of_the_manifest_counts(checkpoint: Path) -> None:
    path = checkpoint / MANIFEST
    data = path.read_bytes()
    missed = [bit for bit in range(0, 8 * len(data), 7) if not is_detected(checkpoint, path, flipped(data, bit))]
    assert missed == []


def test_a_manifest_that_is_not_the_states_is_refused(checkpoint: Path) -> None:
    path = checkpoint / MANIFEST
    manifest = read_json(path)
    for name, value in (("step", 13), ("schema", 2)):
        assert is_detected(checkpoint, path, to_json(manifest | {name: value}))


def test_every_nth_checkpoint_stays(folder: Path) -> None:
    settings = make_settings(folder, checkpoint={"every_steps": 2, "keep_last": 1, "keep_every_steps": 6})
    outcome = train(settings)
    kept = sorted(path.name for path in (outcome.folder / "checkpoints").glob("step-*"))
    assert kept == ["step-00000006", "step-00000012"]
