import pytest
import torch

from llmforge.arch.presets import PRESETS, preset, resolve_architecture
from llmforge.config.model import ModelSection
from llmforge.core.errors import SettingsError
from llmforge.model.transformer import Transformer

# Parameters of the released weights; of PaLM and GPT-3 175B, which have none, what the papers' tables print.
RELEASED = {
    "gpt2": 124_439_808,
    "gpt2-medium": 354_823_168,
    "gpt2-large": 774_030_080,
    "gpt2-xl": 1_557_611_200,
    "llama2-7b": 6_738_415_616,
    "llama2-13b": 13_015_864_320,
    "llama2-70b": 68_976_648_192,
    "bloom-560m": 559_214_592,
    "bloom-1b1": 1_065_314_304,
    "bloom-1b7": 1_722_408_960,
    "bloom-3b": 3_002_557_440,
    "bloom-7b1": 7_069_016_064,
    "bloom-176b": 176_247_271_424,
}
PRINTED = {"palm-8b": 8.63e9, "palm-62b": 62.50e9, "palm-540b": 540.35e9, "gpt3-175b": 174.6e9, "gpt3-13b": 12.85e9}


def num_parameters(name):
    with torch.device("meta"):
        return sum(parameter.numel() for parameter in Transformer(PRESETS[name]).parameters())


@pytest.mark.parametrize("name", RELEASED)
def test_the_module_has_the_parameters_of_the_released_model(name):
    assert num_parameters(name) == RELEASED[name]


@pytest.mark.parametrize("name", PRINTED)
def test_the_module_has_the_parameters_that_the_paper_prints(name):
    assert num_parameters(name) == pytest.approx(PRINTED[name], rel=5e-4)


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_alone_is_itself(name):
    base = PRESETS[name]
    assert resolve_architecture(ModelSection(preset=name, vocab_multiple=1), base.vocab_size) == base


def test_open_sizes_follow_the_preset():
    arch = resolve_architecture(ModelSection(preset="llama2-70b", dim=1024), 32_000)
    assert (arch.heads, arch.head_dim, arch.kv_heads, arch.ffn_dim) == (8, 128, 1, 3584)
    arch = resolve_architecture(ModelSection(preset="gpt2", layers=6, dim=384, heads=6, context=256), 8192)
    assert (arch.layers, arch.head_dim, arch.kv_heads, arch.ffn_dim, arch.context) == (6, 64, 6, 1536, 256)


def test_the_vocabulary_is_padded_and_says_by_how_much():
    arch = resolve_architecture(ModelSection(vocab_multiple=64), 50_257)
    assert (arch.vocab_size, arch.vocab_padding) == (50_304, 47)


def test_bands_are_on_as_published_and_can_be_turned_off():
    assert resolve_architecture(ModelSection(preset="gpt3-175b"), 50_257).band_tokens == 256
    assert resolve_architecture(ModelSection(preset="gpt3-175b", band_tokens=None), 50_257).band_tokens is None
    assert resolve_architecture(ModelSection(preset="gpt2", band_tokens=8), 50_257).band_tokens == 8


def test_an_unknown_preset_names_the_nearest():
    with pytest.raises(SettingsError, match=r"no preset 'gpt2-xxl'.*\n  hint: did you mean 'gpt2-xl'"):
        preset("gpt2-xxl")


@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        ({"dim": 100}, "model.dim is 100, which is no multiple of the preset's head size of 64"),
        (
            {"dim": 96, "heads": 7},
            "model.heads is 7, which does not divide model.dim, 96\n  hint: set model.heads to 6",
        ),
        ({"kv_heads": 5}, "model.kv_heads is 5, which does not divide the 12 heads"),
        ({"preset": "llama2-7b", "dim": 36, "heads": 4}, "model.dim / model.heads is 9; rotary"),
    ],
)
def test_sizes_that_do_not_fit_are_refused(sizes, message):
    with pytest.raises(SettingsError) as caught:
        resolve_architecture(ModelSection(**sizes), 100)
    assert message in str(caught.value)
