import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from llmforge.arch.presets import resolve_architecture
from llmforge.config.model import ModelSection
from llmforge.core.errors import SettingsError
from llmforge.generate.sampling import Sampling, generate_tokens, next_token_probabilities
from llmforge.model.cache import KeyValueCache
from llmforge.model.init import initialise
from llmforge.model.transformer import Transformer

FAMILIES = ["gpt2", "gpt3", "llama2", "palm", "bloom"]
CONTEXT = 32


def model_of(family):
    section = ModelSection(preset=f"{family}-nano", context=CONTEXT, dropout=0.2)
    arch = resolve_architecture(section, 101)
    model = Transformer(arch)
    initialise(model, arch, seed=0)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn(parameter.shape, generator=generator))
    return model


@pytest.mark.parametrize("family", FAMILIES)
@torch.no_grad()
def test_reading_in_pieces_with_a_cache_gives_the_logits_of_reading_at_once(family):
    model = model_of(family).eval()
    tokens = torch.randint(101, (2, CONTEXT), generator=torch.Generator().manual_seed(0))
    cache = KeyValueCache()
    pieces = [model(piece, cache=cache) for piece in tokens.split([5, 1, 1, 10, 1, 14], dim=1)]
    assert cache.num_tokens == CONTEXT
    torch.testing.assert_close(torch.cat(pieces, dim=1), model(tokens), rtol=1e-4, atol=1e-4)


@torch.no_grad()
def without_cache(model, prompt, num_tokens, sampling):
    """Tokens drawn with the whole window read for each; it starts anew from the last half when the window is full."""
    seen, start = prompt[-CONTEXT:], 0
    generator = torch.Generator().manual_seed(sampling.seed)
    for _ in range(num_tokens):
        if len(seen) - start > CONTEXT:
            start = len(seen) - CONTEXT // 2
        probability = next_token_probabilities(model(torch.tensor([seen[start:]]))[0, -1], sampling)
        seen.append(int(torch.multinomial(probability, 1, generator=generator)))
    return seen[-num_tokens:]


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("prompt_tokens", [1, 20, 32, 50])
def test_tokens_are_those_without_a_cache_past_the_context_too(family, prompt_tokens):
    model = model_of(family)
    prompt = torch.randint(101, (prompt_tokens,), generator=torch.Generator().manual_seed(1)).tolist()
    sampling = Sampling(temperature=3.0)
    drawn = list(generate_tokens(model, prompt, 60, sampling))
    assert len(set(drawn)) > 10  # not stuck on a token
    assert drawn == without_cache(model.eval(), prompt, 60, sampling)


def test_a_seed_decides_the_tokens_whatever_was_drawn_before():
    model = model_of("gpt2")
    draw = lambda seed: list(generate_tokens(model, [1, 2], 20, Sampling(temperature=5.0, seed=seed)))  # noqa: E731
    first = draw(1)
    torch.rand(3)
    assert draw(1) == first
    assert draw(2) != first


LOGITS = torch.log(torch.tensor([0.1, 0.4, 0.2, 0.3]))


@pytest.mark.parametrize(
    ("sampling", "expected"),
    [
        (Sampling(), [0.1, 0.4, 0.2, 0.3]),
        (Sampling(temperature=0), [0, 1, 0, 0]),
        (Sampling(temperature=0.5), [1 / 30, 16 / 30, 4 / 30, 9 / 30]),
        (Sampling(top_k=2), [0, 4 / 7, 0, 3 / 7]),
        (Sampling(top_k=9), [0.1, 0.4, 0.2, 0.3]),
        (Sampling(top_p=0.5), [0, 4 / 7, 0, 3 / 7]),
        (Sampling(top_p=0.1), [0, 1, 0, 0]),
        (Sampling(top_k=3, top_p=0.5), [0, 4 / 7, 0, 3 / 7]),
    ],
)
def test_probabilities_by_hand(sampling, expected):
    torch.testing.assert_close(next_token_probabilities(LOGITS, sampling), torch.tensor(expected, dtype=torch.float32))


@given(
    seed=st.integers(0, 1000),
    temperature=st.floats(0.05, 5),
    top_k=st.none() | st.integers(1, 40),
    top_p=st.none() | st.floats(0.01, 1),
)
def test_probabilities_add_up_and_keep_the_likeliest_token(seed, temperature, top_k, top_p):
    logits = torch.randn(30, generator=torch.Generator().manual_seed(seed)) * 3
    probability = next_token_probabilities(logits, Sampling(temperature, top_k, top_p))
    assert probability.sum().item() == pytest.approx(1, abs=1e-5)
    assert probability[logits.argmax()] == probability.max()
    assert probability.count_nonzero() <= (top_k or 30)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"temperature": -0.1}, "temperature is -0.1"),
        ({"temperature": float("nan")}, "temperature is nan"),
        ({"top_k": 0}, "top_k is 0"),
        ({"top_p": 0.0}, "top_p is 0.0"),
        ({"top_p": 1.5}, "top_p is 1.5"),
    ],
)
def test_values_out_of_range_are_refused(values, message):
    with pytest.raises(SettingsError, match=message):
        Sampling(**values)
