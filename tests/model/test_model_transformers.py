"""Logits are those of the transformers library's classes, once our weights are copied over.

PaLM has no class there; Cohere's block is the same one: attention and SwiGLU side by side on one norm without bias.
"""

import pytest
import torch

transformers = pytest.importorskip("transformers", reason="the extra `hf` is not installed: pip install llmforge[hf]")

pytestmark = pytest.mark.slow

ATTENTION = {"q": "q_proj", "k": "k_proj", "v": "v_proj", "out": "o_proj"}
FFN = {"gate": "gate_proj", "up": "up_proj", "down": "down_proj"}


def rope(arch):
    return {"rope_type": "default", "rope_theta": arch.rope_theta}


def gpt2(arch, weights):
    config = transformers.GPT2Config(
        vocab_size=arch.vocab_size,
        n_positions=arch.context,
        n_embd=arch.dim,
        n_layer=arch.layers,
        n_head=arch.heads,
        activation_function="gelu_new",
        layer_norm_epsilon=arch.norm_eps,
    )
    theirs = {
        "transformer.wte.weight": weights["embedding.weight"],
        "transformer.wpe.weight": weights["position.weight"],
    }
    for kind in ("weight", "bias"):
        theirs[f"transformer.ln_f.{kind}"] = weights[f"final_norm.{kind}"]
        for layer in range(arch.layers):
            ours, to = f"blocks.{layer}", f"transformer.h.{layer}"
            fused = torch.cat([weights[f"{ours}.attention.{part}.{kind}"] for part in "qkv"])
            moved = {
                "attn.c_attn": fused,
                "attn.c_proj": weights[f"{ours}.attention.out.{kind}"],
                "mlp.c_fc": weights[f"{ours}.ffn.up.{kind}"],
                "mlp.c_proj": weights[f"{ours}.ffn.down.{kind}"],
            }
            # Conv1D holds (inputs, outputs).
            theirs |= {f"{to}.{name}.{kind}": value.mT if value.dim() == 2 else value for name, value in moved.items()}
            theirs[f"{to}.ln_1.{kind}"] = weights[f"{ours}.attention_norm.{kind}"]
            theirs[f"{to}.ln_2.{kind}"] = weights[f"{ours}.ffn_norm.{kind}"]
    return transformers.GPT2LMHeadModel(config), theirs


def llama2(arch, weights):
    config = transformers.LlamaConfig(
        vocab_size=arch.vocab_size,
        hidden_size=arch.dim,
        intermediate_size=arch.ffn_dim,
        num_hidden_layers=arch.layers,
        num_attention_heads=arch.heads,
        num_key_value_heads=arch.kv_heads,
        max_position_embeddings=arch.context,
        rms_norm_eps=arch.norm_eps,
        rope_parameters=rope(arch),
        tie_word_embeddings=False,
    )
    theirs = {"model.embed_tokens.weight": weights["embedding.weight"], "lm_head.weight": weights["head.weight"]}
    theirs["model.norm.weight"] = weights["final_norm.weight"]
    for layer in range(arch.layers):
        ours, to = f"blocks.{layer}", f"model.layers.{layer}"
        theirs |= {f"{to}.self_attn.{b}.weight": weights[f"{ours}.attention.{a}.weight"] for a, b in ATTENTION.items()}
        theirs |= {f"{to}.mlp.{b}.weight": weights[f"{ours}.ffn.{a}.weight"] for a, b in FFN.items()}
        theirs[f"{to}.input_layernorm.weight"] = weights[f"{ours}.attention_norm.weight"]
        theirs[f"{to}.post_attention_layernorm.weight"] = weights[f"{ours}.ffn_norm.weight"]
    return transformers.LlamaForCausalLM(config), theirs


def neighbouring_pairs(weight, head_dim):
    """Rows of each head from halves, which our rotation pairs, to neighbours, which Cohere's pairs."""
    halves = weight.unflatten(0, (-1, 2, head_dim // 2))
    return halves.transpose(1, 2).flatten(0, 2)


def palm(arch, weights):
    config = transformers.CohereConfig(
        vocab_size=arch.vocab_size,
        hidden_size=arch.dim,
        intermediate_size=arch.ffn_dim,
        num_hidden_layers=arch.layers,
        num_attention_heads=arch.heads,
        num_key_value_heads=1,
        max_position_embeddings=arch.context,
        layer_norm_eps=arch.norm_eps,
        logit_scale=1.0,
        rope_parameters=rope(arch),
        use_qk_norm=False,
        pad_token_id=0,
        bos_token_id=1,
        eos_token_id=2,
    )
    theirs = {"model.embed_tokens.weight": weights["embedding.weight"]}
    theirs["model.norm.weight"] = weights["final_norm.weight"]
    for layer in range(arch.layers):
        ours, to = f"blocks.{layer}", f"model.layers.{layer}"
        for a, b in ATTENTION.items():
            weight = weights[f"{ours}.attention.{a}.weight"]
            theirs[f"{to}.self_attn.{b}.weight"] = neighbouring_pairs(weight, arch.head_dim) if a in "qk" else weight
        theirs |= {f"{to}.mlp.{b}.weight": weights[f"{ours}.ffn.{a}.weight"] for a, b in FFN.items()}
        theirs[f"{to}.input_layernorm.weight"] = weights[f"{ours}.attention_norm.weight"]
    return transformers.CohereForCausalLM(config), theirs


def bloom(arch, weights):
    config = transformers.BloomConfig(
        vocab_size=arch.vocab_size,
        hidden_size=arch.dim,
        n_layer=arch.layers,
        n_head=arch.heads,
        layer_norm_epsilon=arch.norm_eps,
        hidden_dropout=0.0,
        attention_dropout=0.0,
    )
    theirs = {"transformer.word_embeddings.weight": weights["embedding.weight"]}
    for kind in ("weight", "bias"):
        theirs[f"transformer.word_embeddings_layernorm.{kind}"] = weights[f"embedding_norm.{kind}"]
        theirs[f"transformer.ln_f.{kind}"] = weights[f"final_norm.{kind}"]
        for layer in range(arch.layers):
            ours, to = f"blocks.{layer}", f"transformer.h.{layer}"
            by_head = [weights[f"{ours}.attention.{part}.{kind}"].unflatten(0, (arch.heads, -1)) for part in "qkv"]
            moved = {
                "self_attention.query_key_value": torch.stack(by_head, dim=1).flatten(0, 2),
                "self_attention.dense": weights[f"{ours}.attention.out.{kind}"],
                "mlp.dense_h_to_4h": weights[f"{ours}.ffn.up.{kind}"],
                "mlp.dense_4h_to_h": weights[f"{ours}.ffn.down.{kind}"],
                "input_layernorm": weights[f"{ours}.attention_norm.{kind}"],
                "post_attention_layernorm": weights[f"{ours}.ffn_norm.{kind}"],
            }
            theirs |= {f"{to}.{name}.{kind}": value for name, value in moved.items()}
    return transformers.BloomForCausalLM(config), theirs


@pytest.mark.parametrize(
    ("copy", "sizes"),
    [(gpt2, {}), (llama2, {}), (palm, {}), (bloom, {}), (bloom, {"heads": 6, "dim": 96})],
    ids=["gpt2", "llama2", "palm", "bloom", "bloom-6-heads"],
)
def test_logits_are_those_of_transformers(build, copy, sizes):
    model = build(copy.__name__, vocab_size=128, **sizes)
    other, weights = copy(model.arch, model.state_dict())
    missing, unexpected = other.load_state_dict(weights, strict=False)
    assert unexpected == []
    assert set(missing) <= {"lm_head.weight"}
    other.tie_weights()
    tokens = torch.randint(128, (3, 40), generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        found, expected = model(tokens), other.eval()(tokens).logits
    assert expected.std() > 0.1
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-4)
