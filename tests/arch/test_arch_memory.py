"""Closed-form memory against published worked examples and against what torch really keeps."""

import os
from contextlib import nullcontext
from dataclasses import replace

import pytest

from llmforge.arch.activations import MAX_LOGITS, MAX_LOGITS_GPU, Numbers, block_bytes_per_token, kept_bytes, loss_bytes
from llmforge.arch.memory import Layout, stage_weights, training_memory
from llmforge.arch.params import count_parameters
from llmforge.arch.presets import preset

GPT2 = preset("gpt2")


def test_model_states_are_sixteen_bytes_a_parameter():
    memory = training_memory(GPT2, 1)
    assert memory.weights + memory.gradients + memory.optimizer == 16 * 124_439_808
    assert memory.total == sum(
        (memory.weights, memory.gradients, memory.optimizer, memory.activations, memory.loss, memory.buffers)
    )


@pytest.mark.parametrize(("stage", "gigabytes"), [(1, 31.4), (2, 16.6), (3, 1.9)])
def test_zero_states_are_those_of_the_papers_example(stage, gigabytes):
    """Rajbhandari et al. 2020, figure 1: 7.5 billion parameters on 64 ranks, in bf16, without buffers.

    There the gradients are bf16; llmforge has DeepSpeed sum them in fp32, and stage 1 holds them in both.
    """
    arch = replace(GPT2, layers=36, dim=4096, heads=32, kv_heads=32, head_dim=128, ffn_dim=16_384, vocab_size=64_000)
    scale = 7.5e9 / count_parameters(arch).total
    memory = training_memory(arch, 1, Layout(shard=64, zero_stage=stage), "bf16")
    gradients = memory.gradients / (3 if stage == 1 else 2)
    assert (memory.weights + gradients + memory.optimizer) * scale / 1e9 == pytest.approx(gigabytes, abs=0.05)


def test_layouts_divide_what_they_say():
    one = training_memory(GPT2, 1)
    fsdp = training_memory(GPT2, 1, Layout(shard=4))
    assert fsdp.optimizer == one.optimizer // 4
    assert fsdp.activations == one.activations
    assert fsdp.buffers > 0
    offload = training_memory(GPT2, 1, Layout(shard=4, zero_stage=2, offload=True), "bf16")
    assert offload.optimizer == 0
    assert offload.host > 0
    assert training_memory(GPT2, 8, Layout(recompute="full")).activations < training_memory(GPT2, 8).activations / 4


@pytest.mark.parametrize(
    ("stage", "precision", "peak"), [(1, "fp32", 245_424_160), (1, "bf16", 192_504_352), (2, "bf16", 169_768_988)]
)
def test_offloaded_states_and_the_buffers_of_offloading_are_what_was_measured(stage, precision, peak):
    """Peaks of the fuller of two CPU ranks, where device and host memory are one (test_arch_memory_measured)."""
    sizes = {"vocab_size": 2048, "layers": 4, "dim": 384, "heads": 6, "kv_heads": 6, "head_dim": 64, "ffn_dim": 1536}
    arch = replace(preset("gpt2-tiny"), **sizes, context=128)
    memory = training_memory(arch, 4, Layout(shard=2, zero_stage=stage, offload=True), precision)
    assert memory.total + memory.host == pytest.approx(peak, rel=0.10)


def test_recomputing_all_but_products_lies_between_none_and_all():
    none, some, all_of_it = (
        training_memory(GPT2, 8, Layout(recompute=kind)).activations for kind in ("none", "selective", "full")
    )
    assert all_of_it < some < none


def test_ddps_buckets_are_a_second_copy_of_the_gradients_when_passes_add_up():
    once, often = (training_memory(GPT2, 1, Layout(replicate=2, micro_batches=passes)) for passes in (1, 4))
    assert (once.buffers, often.buffers) == (0, 4 * 124_439_808)


def test_a_vocabulary_that_is_split_splits_the_loss():
    whole = training_memory(GPT2, 8, Layout(tensor=4)).loss
    assert training_memory(GPT2, 8, Layout(tensor=4, vocabulary_parallel_loss=True)).loss < whole / 2


def test_tensor_ranks_split_matrices_and_not_norms():
    whole, quarter = training_memory(GPT2, 1), training_memory(GPT2, 1, Layout(tensor=4))
    assert whole.weights / 4 < quarter.weights < whole.weights / 4 * 1.03


def test_a_pipelines_first_stage_holds_the_micro_batches_in_flight():
    few = training_memory(GPT2, 8, Layout(pipeline=4, micro_batches=1))
    many = training_memory(GPT2, 8, Layout(pipeline=4, micro_batches=16))
    assert many.activations == 4 * few.activations


@pytest.mark.parametrize("name", ["gpt2-mini", "llama2-mini", "palm-mini", "bloom-mini"])
@pytest.mark.parametrize("stages", [1, 2, 3, 4])
def test_pipeline_stages_hold_every_weight_once_and_a_tied_table_twice(name, stages):
    arch = preset(name)
    held = sum(weight.total for place in range(stages) for weight in stage_weights(arch, stages, place))
    count = count_parameters(arch)
    assert held == count.total + (count.token_embedding if arch.tied and stages > 1 else 0)


@pytest.mark.parametrize(("precision", "scores"), [("fp32", False), ("bf16", False), ("bf16", True)])
@pytest.mark.parametrize("name", ["gpt2-tiny", "llama2-tiny", "palm-tiny"])
def test_activations_are_what_torch_keeps(name, precision, scores, monkeypatch):
    torch = pytest.importorskip("torch")
    from llmforge.model import attention_scores
    from llmforge.model.transformer import Transformer

    if not scores:  # as on a GPU: attention that a CPU makes out of matrices in bf16 keeps its scores besides
        monkeypatch.setattr(attention_scores, "wants_matrices", lambda x, num_keys: False)
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))
    arch = replace(preset(name), vocab_size=512)
    model, sequences = Transformer(arch), 4
    weights = {parameter.untyped_storage().data_ptr() for parameter in model.parameters()}
    kept = {}

    def note(tensor):
        kept[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage()
        return tensor

    tokens = torch.randint(0, 512, (sequences, arch.context))
    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        autocast = torch.autocast("cpu", torch.bfloat16) if precision == "bf16" else nullcontext()
        with autocast:
            model(tokens, tokens)
    measured = sum(storage.nbytes() for pointer, storage in kept.items() if pointer not in weights)
    num_tokens = sequences * arch.context
    # The loss has not reached its gradient yet, so one of its three copies of the logits is still to come.
    numbers = Numbers(precision, keeps_scores=scores)
    predicted = kept_bytes(arch, num_tokens, arch.layers, numbers) + loss_bytes(arch, num_tokens, numbers)
    predicted -= 2 * 4 * num_tokens * arch.vocab_size
    if precision == "bf16":
        predicted += 2 * count_parameters(arch).multiplied
    assert measured == pytest.approx(predicted, rel=0.05)


def test_a_gpt_layer_keeps_what_the_published_formula_says_and_fp32_norms():
    """Korthikanti et al. 2022: 34 bytes a token and unit of width, 2 of them dropout masks, scores apart.

    Here the inputs of both norms are fp32 (4 more); query, key and value share the cast of their input.
    """
    arch = preset("gpt3-175b")
    log_sums = 4 * arch.heads
    assert block_bytes_per_token(arch, Numbers("bf16")) - log_sums == (34 - 2 + 4) * arch.dim


def test_a_gpu_takes_the_loss_over_more_logits_at_a_time():
    cpu, gpu = training_memory(GPT2, 16), training_memory(GPT2, 16, gpu=True)
    assert (gpu.activations, gpu.weights) == (cpu.activations, cpu.weights)
    more = (MAX_LOGITS_GPU - MAX_LOGITS) * 3 * 4  # logits, their logarithms and their gradient, in fp32
    assert gpu.loss - cpu.loss == pytest.approx(more, rel=0.05)
