"""Bytes on the wire, against the papers' counts and a pipeline's textbook bubble."""

from dataclasses import replace

import pytest

from llmforge.arch.communication import Communication, bubble_share, step_communication
from llmforge.arch.memory import Layout, rank_parameters
from llmforge.arch.params import count_parameters
from llmforge.arch.presets import preset

GPT2 = preset("gpt2")
P = count_parameters(GPT2).total


def test_data_parallel_sends_twice_the_gradients_whatever_the_accumulation():
    for accumulation in (1, 8):
        sent = step_communication(GPT2, 4, Layout(replicate=8), accumulation=accumulation)
        assert sent == Communication(all_reduce=pytest.approx(2 * 4 * P * 7 / 8))


def test_zero_stages_send_what_the_paper_says():
    """Rajbhandari et al. 2020, section 7: stages 1 and 2 as much as data parallel, stage 3 half as much again."""
    ddp = step_communication(GPT2, 4, Layout(replicate=8)).total
    for stage, ratio in ((1, 1.0), (2, 1.0), (3, 1.5)):
        assert step_communication(GPT2, 4, Layout(shard=8, zero_stage=stage)).total == pytest.approx(ratio * ddp)
    assert step_communication(GPT2, 4, Layout(shard=8)).total == pytest.approx(1.5 * ddp)
    in_bf16 = step_communication(GPT2, 4, Layout(shard=8, zero_stage=3), "bf16")
    assert in_bf16.all_gather == pytest.approx(2 * 2 * P * 7 / 8)


def test_sharded_gradients_travel_after_every_micro_batch():
    once = step_communication(GPT2, 4, Layout(shard=8))
    often = step_communication(GPT2, 4, Layout(shard=8), accumulation=4)
    assert often.total == pytest.approx(4 * once.total)


def test_hybrid_sharding_reduces_a_share_between_replicas():
    sent = step_communication(GPT2, 4, Layout(replicate=2, shard=4))
    assert sent.all_reduce == pytest.approx(2 * 4 * P / 4 / 2)


def test_tensor_ranks_sum_four_times_a_block():
    arch = replace(GPT2, tied=False)
    sent = step_communication(arch, 1, Layout(tensor=2))
    hidden = 1024 * 768 * 4
    assert sent.all_reduce == pytest.approx(2 * (4 * 12 + 2) * hidden / 2)
    assert sent.all_gather == pytest.approx(1024 * 50_257 * 4 / 2)
    assert sent.p2p == 0


def test_a_pipeline_sends_hidden_states_both_ways():
    hidden = 1024 * 768 * 4
    assert step_communication(GPT2, 1, Layout(pipeline=2), accumulation=8).p2p == 8 * hidden
    assert step_communication(GPT2, 1, Layout(pipeline=4), accumulation=8).p2p == 2 * 8 * hidden
    assert step_communication(GPT2, 1, Layout(pipeline=4)).all_reduce == 4 * 768 * 50_257
    assert step_communication(replace(GPT2, tied=False), 1, Layout(pipeline=4)).all_reduce == 0


def test_one_process_sends_nothing():
    assert step_communication(GPT2, 4, Layout()).total == 0


def test_the_bubble_is_the_textbooks():
    assert bubble_share(4, 8) == pytest.approx(3 / 8)
    assert bubble_share(4, 8, chunks=2) == pytest.approx(3 / 16)
    assert bubble_share(1, 8) == 0


def test_a_rank_holds_its_share():
    assert rank_parameters(GPT2, Layout(replicate=4)) == P
    assert P / 2 < rank_parameters(GPT2, Layout(pipeline=2)) < P
    assert P / 2 < rank_parameters(GPT2, Layout(tensor=2)) < 0.51 * P
