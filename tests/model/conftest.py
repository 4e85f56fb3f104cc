import pytest
import torch

from llmforge.arch.presets import resolve_architecture
from llmforge.config.model import ModelSection
from llmforge.model.init import initialise
from llmforge.model.transformer import Transformer

FAMILIES = ["gpt2", "gpt3", "llama2", "palm", "bloom"]


@pytest.fixture
def build():
    """A model with weights far from their small start, so that every part of it shows in the logits."""

    def make(family, vocab_size=101, **sizes):
        """The family's nano preset, or the preset of that name."""
        preset = family if "-" in family else f"{family}-nano"
        arch = resolve_architecture(ModelSection(preset=preset, **sizes), vocab_size)
        with torch.device("meta"):
            model = Transformer(arch)
        model.to_empty(device="cpu")
        model.tie()
        initialise(model, arch, seed=3)
        generator = torch.Generator().manual_seed(0)
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.add_(0.1 * torch.randn(parameter.shape, generator=generator))
        return model.eval()

    return make
