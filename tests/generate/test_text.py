from dataclasses import asdict

import pytest
import tokenizers
from safetensors.torch import save_file

from llmforge.arch.presets import resolve_architecture
from llmforge.config.model import ModelSection
from llmforge.core.errors import InputError, SettingsError
from llmforge.core.files import write_json
from llmforge.core.hashing import hash_file
from llmforge.generate.sampling import Sampling
from llmforge.generate.text import TextModel
from llmforge.model.init import initialise
from llmforge.model.transformer import Transformer
from llmforge.tokenize.tokenizer import EOS_TOKEN, Tokenizer


def byte_tokenizer():
    """A tokenizer with one token a byte, and the end token."""
    alphabet = sorted(tokenizers.pre_tokenizers.ByteLevel.alphabet())
    library = tokenizers.Tokenizer(tokenizers.models.BPE({char: i for i, char in enumerate(alphabet)}, []))
    library.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    library.decoder = tokenizers.decoders.ByteLevel()
    library.add_special_tokens([EOS_TOKEN])
    return Tokenizer(library, EOS_TOKEN)


def save_run(folder, vocab_size=257):
    arch = resolve_architecture(ModelSection(preset="gpt2-nano"), vocab_size)
    model = Transformer(arch)
    initialise(model, arch, seed=0)
    checkpoint = folder / "train" / "checkpoints" / "step-00000010"
    checkpoint.mkdir(parents=True)
    save_file(dict(model.named_parameters()), checkpoint / "weights.safetensors")
    write_json(checkpoint / "state.json", {"architecture": asdict(model.arch), "step": 10})
    files = {path.name: {"size": path.stat().st_size, "sha256": hash_file(path)} for path in checkpoint.iterdir()}
    write_json(checkpoint / "manifest.json", {"schema": 1, "step": 10, "files": files})
    (folder / "tokenize").mkdir()
    byte_tokenizer().save(folder / "tokenize" / "tokenizer.json", folder / "tokenize" / "tokenizer_config.json")
    return folder


def test_text_goes_on_from_the_prompt_and_the_seed_decides_it(tmp_path):
    model = TextModel(save_run(tmp_path))
    text = model.write("import os", 30, Sampling(seed=1))
    assert text.startswith("import os")
    assert len(text) > len("import os")
    assert model.write("import os", 30, Sampling(seed=1)) == text
    assert model.write("import os", 30, Sampling(seed=2)) != text


def test_an_empty_prompt_starts_a_document_and_shows_no_end_token(tmp_path):
    text = TextModel(save_run(tmp_path)).write("", 20, Sampling())
    assert text
    assert EOS_TOKEN not in text


def test_a_rebuilt_tokenizer_is_refused(tmp_path):
    with pytest.raises(InputError, match="the model has 300 tokens, and the tokenizer of this run has 257"):
        TextModel(save_run(tmp_path, vocab_size=300))


def test_a_run_without_a_checkpoint_is_refused(tmp_path):
    with pytest.raises(InputError, match="no whole checkpoint"):
        TextModel(tmp_path / "nowhere")


def test_a_value_out_of_range_is_refused():
    with pytest.raises(SettingsError, match="temperature is -1"):
        Sampling(temperature=-1)
