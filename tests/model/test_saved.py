from dataclasses import asdict

import pytest
import torch
from safetensors.torch import save_file

from llmforge.core.errors import InputError
from llmforge.core.files import write_json
from llmforge.core.hashing import hash_file
from llmforge.model.saved import load_model, newest_checkpoint


def save(folder, model, **state):
    folder.mkdir(parents=True)
    save_file(dict(model.named_parameters()), folder / "weights.safetensors")
    write_json(folder / "state.json", {"step": 1, "architecture": asdict(model.arch), **state})
    files = {path.name: {"size": path.stat().st_size, "sha256": hash_file(path)} for path in folder.iterdir()}
    write_json(folder / "manifest.json", {"schema": 1, "step": 1, "files": files})
    return folder


def flip_a_byte(path):
    data = bytearray(path.read_bytes())
    data[-5] ^= 1
    path.write_bytes(data)


@pytest.mark.parametrize("family", ["gpt2", "llama2"])
def test_a_saved_model_predicts_the_same(build, tmp_path, family):
    model = build(family)
    loaded, arch = load_model(save(tmp_path / "step-00000001", model))
    tokens = torch.arange(10)[None]
    assert arch == model.arch
    assert not loaded.training
    assert torch.equal(loaded(tokens), model(tokens))


def test_changed_bytes_are_found_before_use(build, tmp_path):
    folder = save(tmp_path / "step-00000001", build("gpt2"))
    flip_a_byte(folder / "weights.safetensors")
    with pytest.raises(InputError, match=r"weights.safetensors: the SHA-256 is not the manifest's"):
        load_model(folder)


def test_missing_and_short_files_are_named(build, tmp_path):
    folder = save(tmp_path / "step-00000001", build("gpt2"))
    path = folder / "weights.safetensors"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(InputError, match=r"weights.safetensors: \d+ bytes, expected \d+: the file is damaged"):
        load_model(folder)
    path.unlink()
    with pytest.raises(InputError, match=r"weights.safetensors: missing, though"):
        load_model(folder)
    write_json(folder / "manifest.json", {"files": {}})
    with pytest.raises(InputError, match=r"lists no weights.safetensors and state.json"):
        load_model(folder)


def test_an_architecture_of_another_version_is_refused(build, tmp_path):
    folder = save(tmp_path / "step-00000001", build("gpt2"), architecture={"layers": 2, "mixer": "hyena"})
    with pytest.raises(InputError, match='"architecture" is not one that this llmforge knows'):
        load_model(folder)


def test_the_newest_whole_checkpoint_is_taken_and_damaged_ones_are_told(build, tmp_path, caplog):
    model = build("gpt2")
    good = save(tmp_path / "checkpoints" / "step-00000090", model)
    newer = save(tmp_path / "checkpoints" / "step-00000100", model)
    (tmp_path / "checkpoints" / "step-00000110.partial").mkdir()
    assert newest_checkpoint(tmp_path) == newer
    flip_a_byte(newer / "weights.safetensors")
    assert newest_checkpoint(tmp_path) == good
    assert "passing over step-00000100" in caplog.text


def test_no_checkpoint_at_all(tmp_path):
    with pytest.raises(InputError, match=r"(?s)no whole checkpoint.*train first"):
        newest_checkpoint(tmp_path)
