"""Memory in closed form against what the ranks of a real small model hold, byte by byte.

The profiler counts what the CPU's allocator gives and takes. Blocks that gloo's threads give back pass it by: what it
then counts too much is known before and after the step, where the tensors that are really alive are counted one by one.
Of what passed it by within the step, nobody knows whether that was before the peak or after it, so that the peak is
known to lie between two values.

In bf16 the products of matrices are zeros of their size: a processor without units for bf16 takes a minute for each row
otherwise, and what a step holds does not depend on what a product comes to. In fp32 they are computed.
"""

import gc
import time
from contextlib import nullcontext, suppress
from dataclasses import replace
from itertools import product

import numpy as np
import pytest

from llmforge.arch.memory import training_memory
from llmforge.arch.presets import preset
from llmforge.arch.strategies import strategies_on
from llmforge.config.train import TrainSection
from llmforge.config.zero import ZeroSection

torch = pytest.importorskip("torch")

# No weight of a block is as small as those that DeepSpeed's stage 3 leaves whole, and states outweigh activations.
SIZES = {"vocab_size": 2048, "layers": 4, "dim": 384, "heads": 6, "kv_heads": 6, "head_dim": 64, "ffn_dim": 1536}
ARCH = replace(preset("gpt2-tiny"), **SIZES, context=128)
SEQUENCES, PASSES, STEPS = 4, 2, 3


def live_bytes():
    """Bytes of all tensors that Python can see, each storage once."""
    gc.collect()
    storages = {}
    for one in gc.get_objects():
        if isinstance(one, torch.Tensor):
            for tensor in (one, one.grad if one.is_leaf else None):
                if tensor is not None:
                    with suppress(RuntimeError):  # a tensor without memory
                        storages[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
    return sum(storages.values())


def allocations(profiler):
    """(nanosecond, bytes) of everything that was allocated (above 0) and given back."""
    events = [event for event in profiler.profiler.kineto_results.events() if event.name() == "[memory]"]
    return sorted((event.start_ns(), event.nbytes()) for event in events)


def without_products():
    """A mode in which a product of matrices is zeros of its size."""
    from torch.utils._python_dispatch import TorchDispatchMode

    class WithoutProducts(TorchDispatchMode):
        def __torch_dispatch__(self, operation, types, args=(), kwargs=None):
            if operation in (torch.ops.aten.mm.default, torch.ops.aten.addmm.default):
                left, right = args[-2:]
                return left.new_zeros(left.shape[0], right.shape[1])
            return operation(*args, **(kwargs or {}))

    return WithoutProducts()


def measure(world, name, precision, offload):
    """The least and the most that the peak of a rank was over a later step's passes (bytes), of the best known step."""
    from torch.profiler import ProfilerActivity, profile

    from llmforge.model import attention_scores
    from llmforge.model.transformer import Transformer
    from llmforge.parallel.strategies import create_strategy
    from llmforge.parallel.strategy import MicroBatch

    # As on a GPU: attention that a CPU makes out of matrices in bf16 keeps its scores besides.
    attention_scores.wants_matrices = lambda x, num_keys: False
    before = live_bytes()
    tokens = torch.randint(0, ARCH.vocab_size, (SEQUENCES, ARCH.context))
    batches = [MicroBatch(tokens, tokens)] * PASSES
    train = TrainSection(strategy=name, zero=ZeroSection(offload_optimizer=offload))
    mode = without_products() if precision == "bf16" else nullcontext()
    with mode, profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiler:
        strategy = create_strategy(train, precision=precision, world=world)
        strategy.prepare(
            lambda: Transformer(ARCH), lambda named: torch.optim.AdamW([weight for _, weight in named]), seed=1
        )
        strategy.forward_backward(batches, seed=1)
        strategy.apply(1e-3)
        moments = []
        for _ in range(STEPS):
            held, begin_ns = live_bytes() - before, time.time_ns()
            strategy.forward_backward(batches, seed=1)
            moments.append((begin_ns, held, time.time_ns(), live_bytes() - before))
            strategy.discard()
    sizes = allocations(profiler)
    return min((bounds(sizes, *moment) for moment in moments), key=lambda peak: peak[1] - peak[0])


def bounds(sizes, begin_ns, held_before, end_ns, held_after):
    """The least and the most that the peak between two moments was (bytes)."""
    earlier = sum(size for ns, size in sizes if ns < begin_ns)
    running = earlier + np.cumsum([size for ns, size in sizes if begin_ns <= ns < end_ns])
    too_much = sorted((earlier - held_before, int(running[-1]) - held_after))
    return int(running.max()) - too_much[1], int(running.max()) - too_much[0]


def assert_predicted(measured, name, precision, world_size, offload=False):
    layouts = strategies_on(ARCH, world_size, micro_batches=PASSES * world_size).layouts
    predicted = training_memory(ARCH, SEQUENCES, layouts[f"{name}, offload" if offload else name], precision)
    # On a CPU, a device's memory and the host's are one.
    total = predicted.total + predicted.host
    least, most = measured
    assert most <= 1.25 * least  # or anything would do
    assert 0.9 * least <= total <= 1.1 * most, (name, precision, total / least, total / most)
    return predicted


@pytest.mark.slow
@pytest.mark.dist
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("name", "precision", "offload"),
    [
        *product(("single", "ddp", "fsdp", "zero1", "zero2", "zero3"), ("fp32", "bf16"), (False,)),
        ("zero2", "bf16", True),
    ],
)
def test_a_ranks_memory_is_as_predicted(name, precision, offload):
    from llmforge.parallel.local_world import run_in_processes

    if name.startswith("zero"):
        pytest.importorskip("deepspeed")
    world_size = 1 if name == "single" else 2
    for measured in run_in_processes(measure, world_size, name, precision, offload):
        assert_predicted(measured, name, precision, world_size, offload)
