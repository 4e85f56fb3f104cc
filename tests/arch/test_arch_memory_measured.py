"""States in closed form against the tensors that a rank of a real small model holds, counted byte by byte."""

import pytest

from llmforge.arch.memory import common_layouts, training_memory
from llmforge.arch.presets import preset
from llmforge.config.train import TrainSection

torch = pytest.importorskip("torch")

NAME, SEQUENCES = "gpt2-tiny", 2
PARTS = ("weights", "gradients", "optimizer")


def held_after_a_step(world, names):
    """Bytes of this rank's tensors by strategy: gradients while they are there, states after the first update."""
    from llmforge.model.transformer import Transformer
    from llmforge.parallel.strategies import create_strategy
    from llmforge.parallel.strategy import MicroBatch

    arch, held = preset(NAME), {}
    for name in names:
        strategy = create_strategy(TrainSection(strategy=name), precision="fp32", world=world)
        strategy.prepare(
            lambda: Transformer(arch), lambda named: torch.optim.AdamW([weight for _, weight in named]), seed=1
        )
        tokens = torch.randint(0, arch.vocab_size, (SEQUENCES, arch.context))
        strategy.forward_backward([MicroBatch(tokens, tokens)], seed=1)
        before = strategy.state_bytes()
        strategy.apply(1e-3)
        held[name] = {**strategy.state_bytes(), "gradients": before["gradients"]}
    return held


def assert_predicted(held, world_size):
    arch = preset(NAME)
    for name, measured in held.items():
        layout = common_layouts(world_size, arch.heads, arch.layers)[name]
        predicted = training_memory(arch, SEQUENCES, layout)
        for part in PARTS:
            assert getattr(predicted, part) == pytest.approx(measured[part], rel=0.02), (name, part)


def test_one_process_holds_the_predicted_states():
    from llmforge.parallel.process_group import join_world

    assert_predicted(held_after_a_step(join_world(), ["single"]), 1)


@pytest.mark.slow
def test_two_ranks_hold_the_predicted_states():
    from llmforge.parallel.local_world import run_in_processes

    for held in run_in_processes(held_after_a_step, 2, ["ddp", "fsdp"]):
        assert_predicted(held, 2)
