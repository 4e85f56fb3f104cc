"""Strategies by name: the degrees that training gives them, and reasons for those that cannot run."""

from dataclasses import replace

import pytest

from llmforge.arch.memory import training_memory
from llmforge.arch.presets import preset
from llmforge.arch.strategies import strategies_on
from llmforge.parallel.mesh import degrees_of

ARCH = replace(preset("gpt2"), vocab_size=50_304)


@pytest.mark.parametrize("world", [2, 4, 6, 8, 12])
def test_names_stand_for_the_degrees_that_training_gives_them(world):
    for name, layout in strategies_on(ARCH, world, micro_batches=64).layouts.items():
        if name.startswith("zero"):
            assert layout.shard == world
            assert str(layout.zero_stage) == name[4]
            continue
        degrees = degrees_of(name.partition(",")[0], world)
        wanted = degrees.replicate, degrees.shard, degrees.tensor, degrees.pipeline
        assert (layout.replicate, layout.shard, layout.tensor, layout.pipeline) == wanted, name


def test_one_process_has_no_other_ranks():
    assert set(strategies_on(ARCH, 1).layouts) == {"single", "single, recompute"}


def test_a_strategy_is_in_the_table_or_has_a_reason():
    found = strategies_on(ARCH, 8)
    assert found.left_out == {"tensor": "8 tensor ranks do not divide 12 heads"}
    assert {"ddp", "fsdp", "zero1", "zero2", "zero3", "pipeline", "model", "2d", "3d"} <= found.layouts.keys()
    assert {f"zero{stage}, offload" for stage in (1, 2, 3)} <= found.layouts.keys()
    assert all(layout.world == 8 for layout in found.layouts.values())
    assert "make 4 processes" in strategies_on(ARCH, 2).left_out["3d"]
    assert "16 pipeline stages, and the model has 12 layers" in strategies_on(ARCH, 16).left_out["pipeline"]


def test_layers_need_not_divide_into_stages():
    layouts = strategies_on(replace(ARCH, layers=29), 8, micro_batches=64).layouts
    assert layouts["pipeline"].in_flight() == 8
    assert layouts["model"].in_flight() == 1
    one_at_a_time, pipeline = (training_memory(ARCH, 8, layouts[name]) for name in ("model", "pipeline"))
    assert pipeline.activations == 8 * one_at_a_time.activations
