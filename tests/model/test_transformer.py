import math

import numpy as np
import pytest
import torch

from llmforge.model import transformer
from llmforge.model.loss import IGNORE
from llmforge.model.positions import alibi_slopes, rotary_angles, rotate

FAMILIES = ["gpt2", "gpt3", "llama2", "palm", "bloom"]


def weights_of(model):
    return {name: parameter.detach().double().numpy() for name, parameter in model.named_parameters()}


def layer_norm(x, scale, bias, eps=1e-5):
    centred = x - x.mean(-1, keepdims=True)
    return centred / np.sqrt((centred**2).mean(-1, keepdims=True) + eps) * scale + bias


def rms_norm(x, scale, eps=1e-5):
    return x / np.sqrt((x**2).mean(-1, keepdims=True) + eps) * scale


def softmax(x):
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def gelu_tanh(x):
    return 0.5 * x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))


def gelu(x):
    return 0.5 * x * (1 + np.vectorize(math.erf)(x / math.sqrt(2)))


def silu(x):
    return x / (1 + np.exp(-x))


def turn_halves(x, position):
    """Rotary positions on one head at one position, pair by pair."""
    half = len(x) // 2
    turned = np.empty_like(x)
    for i in range(half):
        angle = position * 10_000 ** (-2 * i / len(x))
        turned[i] = x[i] * math.cos(angle) - x[i + half] * math.sin(angle)
        turned[i + half] = x[i + half] * math.cos(angle) + x[i] * math.sin(angle)
    return turned


def attend(arch, w, prefix, x, band=None):
    """Causal attention, one query at a time, in plain loops."""
    T, D = len(x), arch.head_dim
    project = lambda name: x @ w[f"{prefix}{name}.weight"].T + w.get(f"{prefix}{name}.bias", 0)  # noqa: E731
    q, k, v = (project(name).reshape(T, -1, D) for name in "qkv")
    mixed = np.zeros((T, arch.heads, D))
    for h in range(arch.heads):
        shared = h // (arch.heads // arch.kv_heads)
        for t in range(T):
            first = 0 if band is None else max(0, t - band + 1)
            scores = []
            for s in range(first, t + 1):
                query, key = q[t, h], k[s, shared]
                if arch.positions == "rotary":
                    query, key = turn_halves(query, t), turn_halves(key, s)
                penalty = alibi_slopes(arch.heads)[h] * (t - s) if arch.positions == "alibi" else 0
                scores.append(query @ key / math.sqrt(D) - penalty)
            mixed[t, h] = softmax(np.array(scores)) @ v[first : t + 1, shared]
    return mixed.reshape(T, -1) @ w[f"{prefix}out.weight"].T + w.get(f"{prefix}out.bias", 0)


def reference_logits(model, tokens):
    """The whole model from the papers' formulas, fp64, without torch."""
    arch, w = model.arch, weights_of(model)

    def norm(name, x):
        scale = w[f"{name}.weight"]
        return rms_norm(x, scale) if arch.norm == "rmsnorm" else layer_norm(x, scale, w.get(f"{name}.bias", 0))

    def feed_forward(prefix, x):
        up = x @ w[f"{prefix}up.weight"].T + w.get(f"{prefix}up.bias", 0)
        if arch.activation == "swiglu":
            active = silu(x @ w[f"{prefix}gate.weight"].T) * up
        else:
            active = {"gelu": gelu, "gelu_tanh": gelu_tanh}[arch.activation](up)
        return active @ w[f"{prefix}down.weight"].T + w.get(f"{prefix}down.bias", 0)

    x = w["embedding.weight"][tokens]
    if arch.positions == "learned":
        x = x + w["position.weight"][: len(tokens)]
    if arch.embedding_norm:
        x = norm("embedding_norm", x)
    for layer in range(arch.layers):
        block = f"blocks.{layer}."
        band = arch.band_tokens if layer % 2 else None
        normed = norm(f"{block}attention_norm", x)
        attended = attend(arch, w, f"{block}attention.", normed, band)
        if arch.parallel_block:
            x = x + attended + feed_forward(f"{block}ffn.", normed)
        else:
            x = x + attended
            x = x + feed_forward(f"{block}ffn.", norm(f"{block}ffn_norm", x))
    head = w["embedding.weight"] if arch.tied else w["head.weight"]
    return (norm("final_norm", x) @ head.T)[:, : arch.vocab_size - arch.vocab_padding]


@pytest.mark.parametrize("family", [*FAMILIES, "nanogpt-cpu"])
def test_logits_are_those_of_the_written_out_formulas(build, family):
    model = build(family)
    tokens = np.random.default_rng(0).integers(0, 101, 40)
    with torch.no_grad():
        logits = model(torch.tensor(tokens)[None])[0].numpy()
    expected = reference_logits(model, tokens)
    assert np.abs(expected).max() > 1  # logits that say something
    np.testing.assert_allclose(logits, expected, atol=1e-4)


@pytest.mark.parametrize("family", ["gpt2", "llama2", "palm"])
def test_one_product_for_queries_keys_and_values_is_three(build, family, monkeypatch):
    """In bf16 on a CPU, training takes one product for all of them; outputs and gradients stay what three give."""
    tokens = torch.randint(101, (3, 40), generator=torch.Generator().manual_seed(1))

    def train():
        model = build(family).train()
        with torch.autocast("cpu", dtype=torch.bfloat16):
            loss = model(tokens, tokens)
        loss.backward()
        return float(loss.detach()), {name: parameter.grad for name, parameter in model.named_parameters()}

    loss, gradients = train()
    monkeypatch.setattr(transformer, "_are_plain", lambda linears: False)
    expected_loss, expected = train()
    assert loss == pytest.approx(expected_loss, rel=1e-3)
    whole = math.sqrt(sum(float(gradient.square().sum()) for gradient in expected.values()))
    for name, gradient in expected.items():  # bf16 has 3 digits
        assert (gradients[name] - gradient).norm() <= 0.02 * gradient.norm() + 1e-4 * whole, name


def test_heads_that_are_no_power_of_two_get_every_second_slope_of_the_next_series():
    assert alibi_slopes(8) == [2.0**-n for n in range(1, 9)]
    assert alibi_slopes(12) == [2.0**-n for n in range(1, 9)] + [2.0**-0.5, 2.0**-1.5, 2.0**-2.5, 2.0**-3.5]


def test_rotary_scores_depend_on_the_distance_only():
    q, k = torch.randn(2, 1, 1, 1, 16, generator=torch.Generator().manual_seed(0))

    def score(query_position, key_position):
        turn = lambda x, at: rotate(x, rotary_angles(torch.tensor([at]), 16, 10_000.0))  # noqa: E731
        return float((turn(q, query_position) * turn(k, key_position)).sum())

    assert score(7, 3) == pytest.approx(score(107, 103), abs=1e-4)
    assert abs(score(7, 3) - score(7, 5)) > 1e-3


@pytest.mark.parametrize("family", FAMILIES)
def test_no_position_sees_a_later_one(build, family):
    model = build(family)
    tokens = torch.randint(101, (1, 30), generator=torch.Generator().manual_seed(1))
    changed = tokens.clone()
    changed[0, 20] = (changed[0, 20] + 1) % 101
    with torch.no_grad():
        before, after = model(tokens), model(changed)
    torch.testing.assert_close(before[:, :20], after[:, :20], atol=1e-6, rtol=0)
    assert (before[:, 20:] - after[:, 20:]).abs().amax(-1).min() > 1e-5


@pytest.mark.parametrize("family", FAMILIES)
def test_padding_of_the_vocabulary_is_never_predicted_nor_trained(build, family):
    model = build(family)
    assert model.arch.vocab_padding == 27
    tokens = torch.arange(20)[None]
    assert model(tokens).shape == (1, 20, 101)
    model(tokens, tokens).backward()
    head = model.embedding if model.arch.tied else model.head
    assert head.weight.grad[:101].abs().sum() > 0
    assert head.weight.grad[101:].abs().sum() == 0


def test_the_loss_is_the_sum_of_negative_log_probabilities_of_valid_targets(build):
    model = build("gpt2")
    tokens = torch.randint(101, (2, 12), generator=torch.Generator().manual_seed(2))
    targets = tokens.roll(-1, dims=1)
    targets[0, 5:] = IGNORE
    log_probability = torch.log_softmax(model(tokens), -1)
    expected = -sum(
        log_probability[b, t, targets[b, t]].item() for b in range(2) for t in range(12) if targets[b, t] != IGNORE
    )
    assert model(tokens, targets).item() == pytest.approx(expected, rel=1e-5)


def test_tied_weights_are_one_parameter_under_the_embedding_name(build):
    tied, untied = build("gpt2"), build("llama2")
    assert tied.head.weight is tied.embedding.weight
    assert "head.weight" not in dict(tied.named_parameters())
    assert "head.weight" in dict(untied.named_parameters())


def test_bf16_autocast_stays_near_fp32(build):
    model = build("llama2")
    tokens = torch.arange(32)[None]
    full = model(tokens, tokens)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        coarse = model(tokens, tokens)
    assert coarse.dtype == torch.float32
    assert coarse.item() == pytest.approx(full.item(), rel=2e-2)


def test_under_autocast_what_several_products_read_is_converted_once(build):
    model, read = build("llama2"), {}
    for name, module in model.blocks["0"].named_modules():
        if isinstance(module, torch.nn.Linear):
            module.register_forward_pre_hook(lambda _, args, name=name: read.update({name: args[0]}))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        model(torch.arange(32)[None])
    assert read["attention.q"].dtype == read["ffn.up"].dtype == torch.bfloat16
    assert read["attention.q"] is read["attention.k"] is read["attention.v"]
    assert read["ffn.up"] is read["ffn.gate"]
