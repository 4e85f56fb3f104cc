"""Where the model is cut for a pipeline, and what tensor ranks split."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file

from llmforge.arch.presets import PRESETS
from llmforge.config.parallel import ParallelSection
from llmforge.model.transformer import Transformer
from llmforge.parallel.pipeline import cut, stage_blocks, stage_of
from llmforge.parallel.sharding import Sharding, named_parameters
from llmforge.parallel.tensor import is_partial, split_dim
from llmforge.parallel.tensor_file import write_tensors


@given(layers=st.integers(1, 40), num_stages=st.integers(1, 8))
def test_stages_cover_the_blocks_in_order_and_evenly(layers, num_stages):
    stages = [stage_blocks(layers, num_stages, stage) for stage in range(num_stages)]
    assert [block for stage in stages for block in stage] == list(range(layers))
    assert max(map(len, stages)) - min(map(len, stages)) <= 1


@pytest.mark.parametrize("family", ["gpt2", "llama2", "palm", "bloom"])
def test_every_parameter_stands_in_its_stage_and_a_tied_one_at_both_ends(family):
    arch = PRESETS[f"{family}-tiny"]
    with torch.device("meta"):
        whole = {name: stage_of(name, arch.layers, 3) for name, _ in Transformer(arch).named_parameters()}
        for stage in range(3):
            model = Transformer(arch)
            cut(model, 3, stage)
            own = {name for name, owner in whole.items() if owner == stage}
            tied = {"embedding.weight"} if arch.tied and stage == 2 else set()
            assert named_parameters(model, arch).keys() == own | tied


def test_layers_split_by_heads_and_units_and_norms_not_at_all():
    arch = PRESETS["palm-tiny"]
    split = {"attention.q": 0, "attention.k": None, "attention.out": 1, "ffn.gate": 0, "ffn.down": 1}
    for module, dim in split.items():
        assert split_dim(f"blocks.0.{module}.weight", arch, 2) == dim
    assert split_dim("embedding.weight", arch, 2) == 0
    assert split_dim("blocks.0.attention_norm.weight", arch, 2) is None
    assert split_dim("blocks.0.attention.out.bias", PRESETS["gpt2-tiny"], 2) is None


def test_gradients_of_shared_heads_and_of_norms_over_slices_are_partial():
    arch = PRESETS["palm-tiny"]
    assert is_partial("blocks.0.attention.k.weight", arch, 2, sequence_parallel=False)
    assert not is_partial("blocks.0.attention_norm.weight", arch, 2, sequence_parallel=False)
    assert is_partial("blocks.0.attention_norm.weight", arch, 2, sequence_parallel=True)
    assert not is_partial("final_norm.weight", arch, 2, sequence_parallel=True)
    assert not is_partial("blocks.0.attention.k.weight", PRESETS["gpt2-tiny"], 2, sequence_parallel=False)


def test_without_tensor_ranks_parts_are_the_whole():
    sharding = Sharding(PRESETS["gpt2-nano"], None)
    full, parameter = torch.arange(6.0).reshape(3, 2), torch.zeros(3, 2)
    sharding.put("embedding.weight", parameter, full)
    assert torch.equal(parameter, full)
    assert torch.equal(sharding.gather("embedding.weight", parameter, full.shape), full)


def test_a_file_written_tensor_by_tensor_is_a_safetensors_file(tmp_path):
    tensors = {"b": torch.arange(6.0).reshape(2, 3).mT, "a": torch.tensor(3), "c": torch.ones(3, dtype=torch.bfloat16)}
    forms = {name: (tensor.dtype, tuple(tensor.shape)) for name, tensor in tensors.items()}
    write_tensors(tmp_path / "x.safetensors", forms, iter(tensors.items()), {"optimizer": "AdamW"})
    read = load_file(tmp_path / "x.safetensors")
    assert read.keys() == tensors.keys()
    assert all(torch.equal(read[name], tensor) and read[name].dtype == tensor.dtype for name, tensor in tensors.items())


def test_zero_bubble_with_selective_checkpointing_is_refused():
    assert ParallelSection(schedule="zero_bubble", activation_checkpointing="full").schedule == "zero_bubble"
    with pytest.raises(ValueError, match="zero_bubble does not go with selective activation_checkpointing; use full"):
        ParallelSection(schedule="zero_bubble", activation_checkpointing="selective")
