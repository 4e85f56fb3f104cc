"""Degrees that cannot run are told before anything starts, all at once, with the nearest legal values."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmforge.arch.degrees import Batch, check
from llmforge.arch.memory import Layout
from llmforge.arch.presets import preset

LLAMA = preset("llama2-70b")  # 80 layers, 64 heads, 8 key and value heads
GPT2 = replace(preset("gpt2"), vocab_size=50_304)  # 12 layers, 12 heads, context 1024


def texts(problems):
    return [(".".join(problem.path), problem.what, problem.hint) for problem in problems]


def test_a_layout_that_fits_has_no_problem():
    layout = Layout(shard=2, tensor=8, pipeline=4, micro_batches=16)
    assert check(layout, LLAMA, 64, Batch(2 * 16 * 4096, 1)) == []


def test_every_problem_is_told_at_once():
    layout = Layout(tensor=5, pipeline=16, micro_batches=2)
    problems = check(layout, GPT2, 8, Batch(1000, 1))
    assert [path for path, _, _ in texts(problems)] == [
        "train.nproc",
        "train.parallel.tensor",
        "train.parallel.tensor",
        "train.parallel.tensor",
        "train.parallel.pipeline",
        "train.global_batch_tokens",
    ]


def test_degrees_that_do_not_make_the_world_name_the_nearest():
    (problem,) = check(Layout(tensor=2, pipeline=3, micro_batches=3), GPT2, 8, Batch(3 * 1024, 1))
    assert problem.what == "the degrees tensor 2 x pipeline 3 make 6 processes, or a multiple of that, and there are 8"
    assert problem.hint == "start 6 or 12 processes, or change the degrees"


@pytest.mark.parametrize(
    ("tensor", "what", "hint"),
    [
        (5, "5 tensor ranks do not divide 12 heads", "nearest degrees that divide all that is split: 3 or 4 or 6"),
        (9, "9 tensor ranks do not divide 12 heads", "nearest degrees that divide all that is split: 4 or 6 or 12"),
    ],
)
def test_tensor_ranks_divide_heads(tensor, what, hint):
    problems = check(Layout(tensor=tensor), GPT2, tensor, Batch(1024, 1))
    assert (problems[0].what, problems[0].hint) == (what, hint)


def test_tensor_ranks_divide_shared_heads_or_are_divided_by_them():
    assert check(Layout(tensor=16), LLAMA, 16, Batch(4096, 1)) == []
    arch = replace(GPT2, kv_heads=4)
    (problem,) = check(Layout(tensor=6), arch, 6, Batch(1024, 1))
    assert problem.what == "6 tensor ranks and 4 key and value heads: neither divides the other"
    assert problem.hint == "nearest degrees that divide all that is split: 1 or 2 or 4"


def test_sequence_parallel_ranks_divide_the_context():
    arch = replace(GPT2, context=1022)
    assert check(Layout(tensor=4), arch, 4, Batch(1022, 1)) == []
    (problem,) = check(Layout(tensor=4), arch, 4, Batch(1022, 1), sequence_parallel=True)
    assert problem.what == "4 tensor ranks do not divide 1,022 tokens of the context"


def test_there_are_as_many_layers_as_stages():
    (problem,) = check(Layout(pipeline=16, micro_batches=16), GPT2, 16, Batch(16 * 1024, 1))
    assert problem.what == "16 pipeline stages, and the model has 12 layers"
    assert problem.hint == "set it to 12 at most"
    batch = Batch(8 * 1024, 1)
    (problem,) = check(Layout(pipeline=8, micro_batches=8), GPT2, 8, batch, schedule="interleaved_1f1b")
    assert (problem.what, problem.hint) == ("16 pipeline stages, and the model has 12 layers", "set it to 6 at most")


def test_micro_batches_fill_the_schedule():
    (problem,) = check(Layout(pipeline=4, micro_batches=3), GPT2, 4, Batch(3 * 1024, 1))
    assert problem.what.startswith("3 micro-batches a step do not fill the schedule 1f1b of 4 pipeline ranks")
    assert problem.hint == "set it to 4,096, or train.micro_batch_sequences lower"
    batch = Batch(6 * 1024, 1)
    assert check(Layout(pipeline=4, micro_batches=6), GPT2, 4, batch) == []
    (problem,) = check(Layout(pipeline=4, micro_batches=6), GPT2, 4, batch, schedule="interleaved_1f1b")
    assert problem.what.endswith("which takes a multiple of 4")
    assert problem.hint == "set it to 4,096 or 8,192, or train.micro_batch_sequences lower"
    assert check(Layout(pipeline=4, micro_batches=3), GPT2, 4, Batch(3 * 1024, 1), schedule="gpipe") == []


def test_zero_bubble_has_two_chunks_a_rank_and_no_other_axis():
    batch = Batch(8 * 1024, 1)
    alone = Layout(pipeline=4, micro_batches=8)
    assert check(alone, GPT2, 4, batch, schedule="zero_bubble") == []
    (problem,) = check(Layout(pipeline=8, micro_batches=8), GPT2, 8, batch, schedule="zero_bubble")
    assert problem.what == "16 pipeline stages, and the model has 12 layers"
    for other in ({"replicate": 2}, {"shard": 2}, {"tensor": 2}):
        (problem,) = check(replace(alone, **other), GPT2, 8, batch, schedule="zero_bubble")
        assert problem.what.startswith("zero_bubble computes gradients of inputs and of weights apart")
        assert problem.hint == "set it to interleaved_1f1b, or use --strategy pipeline"


def test_a_batch_that_does_not_come_out_even_names_the_nearest():
    (problem,) = check(Layout(shard=3), GPT2, 3, Batch(8 * 1024, 2))
    assert problem.what == "8,192 tokens a step are no multiple of 2 sequences x 1024 tokens x 3 data ranks = 6,144"
    assert problem.hint == "set it to 6,144 or 12,288"
    (problem,) = check(Layout(shard=2), GPT2, 2, Batch(12 * 1024, 4))
    assert problem.hint == "set it to 8,192 or 16,384, or train.micro_batch_sequences to 2 or 3 or 6"


@given(tensor=st.integers(1, 16), heads=st.sampled_from([6, 8, 12, 16]), kv_share=st.sampled_from([1, 2]))
def test_what_a_hint_names_is_legal(tensor, heads, kv_share):
    arch = replace(GPT2, heads=heads, kv_heads=heads // kv_share)
    for problem in check(Layout(tensor=tensor), arch, tensor, Batch(1024, 1)):
        for word in (problem.hint or "").split(": ")[1].split(" or "):
            assert check(Layout(tensor=int(word)), arch, int(word), Batch(1024, 1)) == []
