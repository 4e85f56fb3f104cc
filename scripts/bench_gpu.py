"""Times GPT-2's training step on one GPU beside a plain PyTorch loop, and sets its memory beside the plan's.

    python scripts/bench_gpu.py [--layers 12 --dim 768 --heads 12] [--peak 989e12]

Both sides train the same shape on the same random tokens in bf16: the plain side is `bench_train.PlainModel` under
autocast with fused AdamW and clipping, as it is and compiled whole; llmforge's is its engine, blocks as they are and
compiled, with fixed orders of summation as in every training. Steps of all sides alternate; the median counts.
"""

import argparse
import time
from collections.abc import Callable
from statistics import median

import torch
from bench_train import PlainModel, Size
from torch import nn

from llmforge.arch.architecture import Architecture
from llmforge.arch.flops import flops_per_token
from llmforge.arch.memory import Layout, training_memory
from llmforge.arch.presets import resolve_architecture
from llmforge.config.model import ModelSection
from llmforge.config.train import TrainSection
from llmforge.model.transformer import Transformer
from llmforge.parallel.process_group import join_world
from llmforge.parallel.strategies import create_strategy
from llmforge.parallel.strategy import MicroBatch
from llmforge.train.optimizers import build_optimizer

VOCAB, CONTEXT, SEQUENCES, PASSES = 50257, 1024, 16, 4
WARM_UP, TIMED = 3, 10


def main() -> None:
    """Print a line a side."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--layers", type=int, default=12)
    parser.add_argument("--dim", type=int, default=768)
    parser.add_argument("--heads", type=int, default=12)
    parser.add_argument("--peak", type=float, default=989e12, help="the GPU's bf16 FLOP/s, dense")
    asked = parser.parse_args()
    size = Size(asked.layers, asked.dim, asked.heads, CONTEXT, SEQUENCES)
    model = ModelSection(preset="gpt2", layers=size.layers, dim=size.dim, heads=size.heads, context=CONTEXT)
    arch = resolve_architecture(model, VOCAB)
    world = join_world({})
    batches = [_batch() for _ in range(PASSES)]
    sides: dict[str, Callable[[], None]] = {}
    for compiled in (False, True):
        how = ", compiled" if compiled else ""
        sides[f"plain{how}"] = plain_step(size, batches, world.device, compiled=compiled)
        sides[f"llmforge{how}"] = our_step(arch, batches, compiled=compiled)
    times_s: dict[str, list[float]] = {side: [] for side in sides}
    for _ in range(WARM_UP + TIMED):
        for side, step in sides.items():
            times_s[side].append(_seconds(step))
    print(f"{torch.cuda.get_device_name()}, torch {torch.__version__}; {size.layers} layers, width {size.dim}, bf16")
    plain_s = median(times_s["plain"][WARM_UP:])
    for side in sides:
        step_s = median(times_s[side][WARM_UP:])
        tokens_per_s = PASSES * SEQUENCES * CONTEXT / step_s
        mfu = flops_per_token(arch).palm * tokens_per_s / asked.peak
        print(
            f"{side:20} {tokens_per_s:10,.0f} tokens/s  MFU {mfu:.1%}  {plain_s / step_s:.2f} times plain; "
            f"first step {times_s[side][0]:.1f} s"
        )


def plain_step(size: Size, batches: list[MicroBatch], device: torch.device, *, compiled: bool) -> Callable[[], None]:
    """The plain loop's step."""
    model = PlainModel(size, VOCAB).to(device)
    forward = torch.compile(model) if compiled else model
    optimizer = torch.optim.AdamW(model.parameters(), lr=6e-4, betas=(0.9, 0.95), weight_decay=0.1, fused=True)

    def step() -> None:
        for batch in batches:
            with torch.autocast(device.type, dtype=torch.bfloat16):
                loss = forward(batch.tokens_BT.to(device), batch.targets_BT.to(device))
            (loss / len(batches)).backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)

    return step


def our_step(arch: Architecture, batches: list[MicroBatch], *, compiled: bool) -> Callable[[], None]:
    """Llmforge's step; tells the memory of its first one beside the plan's."""
    train = TrainSection(compile=compiled)
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    strategy = create_strategy(train, precision="bf16", world=join_world({}))
    strategy.prepare(lambda: Transformer(arch), build_optimizer(train.optimizer), seed=1)

    def step() -> None:
        strategy.forward_backward(batches, seed=1)
        strategy.apply(6e-4)

    step()
    step()
    torch.cuda.synchronize()
    measured = torch.cuda.max_memory_allocated() - before
    planned = training_memory(arch, SEQUENCES, Layout(micro_batches=PASSES), "bf16", gpu=True).total
    print(
        f"memory{', compiled' if compiled else ''}: {measured / 2**30:.2f} GiB measured, {planned / 2**30:.2f} GiB "
        f"planned ({planned / measured - 1:+.1%})"
    )
    return step


def _batch() -> MicroBatch:
    rows = torch.randint(VOCAB, (SEQUENCES, CONTEXT + 1))
    return MicroBatch(rows[:, :-1], rows[:, 1:])


def _seconds(step: Callable[[], None]) -> float:
    torch.cuda.synchronize()
    start_s = time.perf_counter()
    step()
    torch.cuda.synchronize()
    return time.perf_counter() - start_s


if __name__ == "__main__":
    main()
