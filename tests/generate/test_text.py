from dataclasses import asdict

import pytest
import tokenizers
from safetensors.torch import save_file

from llmforge.arch.presets import resolve_architecture
from llmforge.config.model import ModelSection
from llmforge.core.errors import InputError, SettingsError
from llmforge.core.files import write_json
from llmforge.core.hashing import hash_file
from llmforge.generate.text import generate_text
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
    run = save_run(tmp_path)
    text = generate_text(run, "import os", 30, seed=1)
    assert text.startswith("import os")
    assert len(text) > len("import os")
    assert generate_text(run, "import os", 30, seed=1) == text
    assert generate_text(run, "import os", 30, seed=2) != text


def test_an_empty_prompt_starts_a_document_and_shows_no_end_token(tmp_path):
    text = generate_text(save_run(tmp_path), "", 20, temperature=1.0, top_p=None)
    assert text
    assert EOS_TOKEN not in text


def test_a_rebuilt_tokenizer_is_refused(tmp_path):
    with pytest.raises(InputError, match="the model has 300 tokens, and the tokenizer of this run has 257"):
        generate_text(save_run(tmp_path, vocab_size=300), "a", 5)


def test_a_value_out_of_range_is_refused_before_anything_is_read(tmp_path):
    with pytest.raises(SettingsError, match="temperature is -1"):
        generate_text(tmp_path / "nowhere", "a", temperature=-1)
    with pytest.raises(InputError, match="no whole checkpoint"):
        generate_text(tmp_path / "nowhere", "a")
