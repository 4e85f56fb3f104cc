"""Times what the training loop adds to its engine, and what a second process brings, on a text of your own.

    python scripts/bench_loop.py TEXT [--steps 60]

The first part tokenizes TEXT and trains on it through `llmforge train`'s own loop: of the time from the first step to
the last, what does not pass inside the engine's two halves is data, hashes, logging and guards. The second part times
the same steps under `ddp` on two processes of one thread each and on one process of one thread, in turns.
"""

import argparse
import json
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from statistics import median
from typing import Any
from unittest.mock import patch

import torch

from llmforge.arch.presets import resolve_architecture
from llmforge.config.model import ModelSection
from llmforge.config.schema import Settings
from llmforge.config.train import TrainSection
from llmforge.model.transformer import Transformer
from llmforge.parallel.local_world import run_in_processes
from llmforge.parallel.process_group import World
from llmforge.parallel.strategies import create_strategy
from llmforge.parallel.strategy import MicroBatch
from llmforge.parallel.torch_native import TorchNative
from llmforge.pipeline.build import BuildOptions, build_stage
from llmforge.tokenize.stage import TOKENIZE
from llmforge.train.optimizers import build_optimizer
from llmforge.train.stage import train

SIZES: dict[str, tuple[dict[str, Any], int]] = {
    "4 layers of width 128, 12 x 64 tokens": ({"layers": 4, "dim": 128, "heads": 4, "context": 64}, 12),
    "6 layers of width 384, 16 x 256 tokens": ({"layers": 6, "dim": 384, "heads": 6, "context": 256}, 16),
}
WARM_UP, TURNS = 2, 3


def main() -> None:
    """Print a line for each size and part."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("text", type=Path)
    parser.add_argument("--steps", type=int, default=60)
    asked = parser.parse_args()
    text = asked.text.read_text(encoding="utf-8")
    for name, (model, sequences) in SIZES.items():
        whole_s, engine_s = time_loop(text, model, sequences, asked.steps)
        print(
            f"{name}: the loop adds {whole_s / engine_s - 1:.1%} to {engine_s / asked.steps * 1e3:.1f} ms of its engine"
        )
    for name, (model, sequences) in SIZES.items():
        one_s, two_s = time_ddp(model, sequences, asked.steps)
        print(
            f"{name}: ddp on 2 processes takes {one_s / two_s:.2f} times as many tokens as one process, 1 thread each"
        )


def time_loop(text: str, model: Mapping[str, Any], sequences: int, steps: int) -> tuple[float, float]:
    """Seconds from the first step's begin to the last one's end, and those of them inside the engine."""
    moments: list[float] = []

    def timed(method: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            moments.append(time.perf_counter())
            result = method(*args, **kwargs)
            moments.append(time.perf_counter())
            return result

        return call

    with (
        tempfile.TemporaryDirectory() as folder,
        patch.object(TorchNative, "forward_backward", timed(TorchNative.forward_backward)),
        patch.object(TorchNative, "apply", timed(TorchNative.apply)),
    ):
        train(tokenized(Path(folder), text, model, sequences, steps + WARM_UP))
    moments = moments[4 * WARM_UP :]
    return moments[-1] - moments[0], sum(moments[1::2]) - sum(moments[::2])


def tokenized(folder: Path, text: str, model: Mapping[str, Any], sequences: int, steps: int) -> Settings:
    """Settings of a run in `folder` whose text is tokenized; it validates and saves at its end only."""
    documents = [text[start : start + 4000] for start in range(0, len(text), 4000)]
    rows = (json.dumps({"text": document}) + "\n" for document in documents)
    (folder / "text.jsonl").write_text("".join(rows), encoding="utf-8")
    tokens = sequences * model["context"]
    values = {
        "run": {"name": "loop", "dir": str(folder), "workers": 1},
        "tokenize": {"data": str(folder / "text.jsonl"), "algorithm": "byte"},
        "model": {"preset": "gpt2", **model},
        "train": {
            "strategy": "single",
            "global_batch_tokens": tokens,
            "micro_batch_sequences": sequences,
            "tokens": steps * tokens,
            "log_every_steps": 10,
            "eval_every_steps": 10**6,
            "checkpoint": {"every_steps": 10**6},
        },
    }
    settings = Settings.model_validate(values)
    settings.run_folder.mkdir(parents=True)
    build_stage(TOKENIZE, settings, settings.run_folder, BuildOptions())
    return settings


def time_ddp(model: Mapping[str, Any], sequences: int, steps: int) -> tuple[float, float]:
    """Median seconds of a step on one process and on two, best of the turns; both take the same global batch."""
    best = {1: float("inf"), 2: float("inf")}
    for _ in range(TURNS):
        for processes in best:
            seconds = run_in_processes(time_steps, processes, dict(model), sequences, steps, timeout_s=600)
            best[processes] = min(best[processes], *seconds)
    return best[1], best[2]


def time_steps(world: World, model: Mapping[str, Any], sequences: int, steps: int) -> float:
    """Median seconds of a step of this rank's share, in bf16, which both sides take."""
    arch = resolve_architecture(ModelSection(preset="gpt2", **model), 256)
    section = TrainSection(strategy="ddp" if world.size > 1 else "single")
    strategy = create_strategy(section, precision="bf16", world=world)
    strategy.prepare(lambda: Transformer(arch), build_optimizer(section.optimizer), seed=1)
    rows = torch.randint(256, (sequences // world.size, arch.context + 1))
    times_s = []
    for _ in range(WARM_UP + steps):
        start_s = time.perf_counter()
        strategy.forward_backward([MicroBatch(rows[:, :-1], rows[:, 1:])], seed=1)
        strategy.apply(1e-3)
        times_s.append(time.perf_counter() - start_s)
    return median(times_s[WARM_UP:])


if __name__ == "__main__":
    main()
