"""Saves trainings under one strategy, goes on under another, and compares the losses with a training in one process.

    python scripts/load_pairs.py [--pairs 8] [--seed 1]

A tiny model is trained for 5 steps under the first strategy of a pair and for 11 more under the second, which loads
weights and optimizer states from the canonical checkpoint. Printed is how far the losses are from those of 16 steps in
one process: relatively, on the first step after the change and at most over the ten that follow. Of the pairs, one goes
from plain torch to DeepSpeed and one comes back; the others are drawn from all ordered pairs of distinct strategies.
"""

import argparse
import itertools
import random
import sys
import tempfile
from pathlib import Path

import torch
from kill_table import CONTEXT, NUM_RANKS, SEQUENCES, copy_of, finish, make_settings, start, tokenize_topics

FIRST_STEPS, STEPS = 5, 16
STRATEGIES = ("single", "ddp", "fsdp", "tensor", "pipeline", "3d", "zero1", "zero3")
FIRST_LIMIT, LATER_LIMIT = 1e-5, 1e-4


def draw_pairs(number: int, seed: int) -> list[tuple[str, str]]:
    """Ordered pairs of strategies, those between the engines first."""
    draw = random.Random(seed)
    native, zero = STRATEGIES[:6], STRATEGIES[6:]
    between = [(draw.choice(native), draw.choice(zero)), (draw.choice(zero), draw.choice(native))]
    others = [pair for pair in itertools.permutations(STRATEGIES, 2) if pair not in between]
    return between + draw.sample(others, number - len(between))


def losses(tokenized: Path, *parts: tuple[str, int]) -> list[float]:
    """Loss of every step, trained under each strategy up to its step in turn."""
    with copy_of(tokenized, parts[0][0]) as settings:
        folder = settings.run_folder.parent
        for strategy, steps in parts:
            same = {"tokens": steps * CONTEXT * SEQUENCES, "schedule": {"name": "constant", "warmup_fraction": 0.0}}
            part = make_settings(folder, strategy, dropout=0.0, **same)
            lines = finish(part, start(part, NUM_RANKS[strategy]))[0]
    return [line["loss"] for line in lines]


def main() -> None:
    """Print a row for each pair; the exit code is 1 if one is further off than allowed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=8)
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    import deepspeed  # noqa: F401  # loaded here, so that forked ranks find it

    torch.set_num_threads(1)
    missed = 0
    print("| saved under | loaded under | first step | the ten after |")
    print("|---|---|---:|---:|", flush=True)
    with tempfile.TemporaryDirectory() as name:
        tokenize_topics(Path(name))
        expected = losses(Path(name), ("single", STEPS))
        for saved, loaded in draw_pairs(asked.pairs, asked.seed):
            found = losses(Path(name), (saved, FIRST_STEPS), (loaded, STEPS))
            off = [abs(one - other) / other for one, other in zip(found, expected, strict=True)][FIRST_STEPS:]
            missed += off[0] > FIRST_LIMIT or max(off) > LATER_LIMIT
            print(f"| {saved} | {loaded} | {off[0]:.1e} | {max(off[1:]):.1e} |", flush=True)
    sys.exit(1 if missed else 0)


if __name__ == "__main__":
    main()
