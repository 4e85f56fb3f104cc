"""Kills trainings with SIGKILL at random moments, resumes them, and compares every bit with an undisturbed training.

    python scripts/kill_table.py [--kills 50] [--strategies single,ddp,fsdp,zero2] [--seed 1]

A tiny model is trained for a few steps with a checkpoint after each, so that a large share of the time is spent in
writing checkpoints. The ranks are forked from this process, which has the libraries loaded. A moment is drawn evenly
over the time from the first checkpoint's beginning to the end. Half of the kills end all ranks at once, the others one
rank, whose companions are left to notice it by themselves. The same training then goes on, and must end with the same
metrics, the same weights and the same optimizer states as the undisturbed one, byte by byte.
"""

import argparse
import contextlib
import hashlib
import json
import os
import random
import shutil
import signal
import socket
import sys
import tempfile
import time
import traceback
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from pydoc_data.topics import topics

import torch

import llmforge.parallel.torch_native  # loaded here, so that forked ranks find it
import llmforge.parallel.zero
import llmforge.train.session  # noqa: F401
from llmforge.config.schema import Settings
from llmforge.pipeline.build import BuildOptions, build_stage
from llmforge.tokenize.stage import TOKENIZE
from llmforge.train.stage import train

STEPS, CONTEXT, SEQUENCES = 12, 16, 8
NUM_RANKS = {"single": 1, "ddp": 2, "fsdp": 2, "tensor": 2, "pipeline": 2, "3d": 8, "zero1": 2, "zero2": 2, "zero3": 2}
COMPARED = ("step", "tokens", "loss", "grad_norm", "lr", "val_loss", "data_hash")
LIMIT_S = 180.0
NOTICE_S = 20.0


@dataclass
class Row:
    """What the kills of one strategy came to.

    Attributes:
        kills: trainings that were killed (count).
        while_saving: of these, how many left a half-written checkpoint (count).
        from_checkpoint: of these, how many had a whole checkpoint to go on from (count).
        unequal: which ones did not end in the undisturbed run's bytes.
        seconds: of the undisturbed training, from its first checkpoint on.
    """

    kills: int = 0
    while_saving: int = 0
    from_checkpoint: int = 0
    unequal: list[str] = field(default_factory=list)
    seconds: float = 0.0


def make_settings(folder: Path, strategy: str, *, dropout: float = 0.1, **train_values: object) -> Settings:
    """The tiny training in `folder`; `train_values` replace values of its train section."""
    training: dict[str, object] = {
        "strategy": strategy,
        "global_batch_tokens": CONTEXT * SEQUENCES,
        "micro_batch_sequences": 2,
        "tokens": STEPS * CONTEXT * SEQUENCES,
        "precision": "fp32",
        "log_every_steps": 1,
        "eval_every_steps": 5,
        "eval_tokens": 128,
        "threads": 1,
        "checkpoint": {"every_steps": 1},
    }
    return Settings.model_validate(
        {
            "run": {"name": "tiny", "dir": str(folder), "workers": 1},
            "tokenize": {"data": str(folder / "text.jsonl"), "vocab_size": 300, "val_fraction": 0.1},
            "model": {"layers": 2, "dim": 32, "heads": 2, "context": CONTEXT, "dropout": dropout},
            "train": training | train_values,
        }
    )


def tokenize_topics(folder: Path) -> None:
    """A token store of Python's help topics."""
    with open(folder / "text.jsonl", "w", encoding="utf-8") as file:
        for number, (name, text) in enumerate(sorted(topics.items())[:24]):
            row = {"id": f"{number:032x}", "text": text[:1500], "source": "ab"[number % 2], "url": f"topic:{name}"}
            file.write(json.dumps(row) + "\n")
    settings = make_settings(folder, "single")
    settings.run_folder.mkdir(parents=True)
    build_stage(TOKENIZE, settings, settings.run_folder, BuildOptions())


def start(settings: Settings, num_ranks: int) -> list[int]:
    """Fork the ranks of a training; their process ids."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    return [_fork(settings, rank, num_ranks, port) for rank in range(num_ranks)]


def _fork(settings: Settings, rank: int, num_ranks: int, port: int) -> int:
    child = os.fork()
    if child:
        return child
    if num_ranks > 1:
        place = {"RANK": rank, "WORLD_SIZE": num_ranks, "LOCAL_RANK": rank, "LOCAL_WORLD_SIZE": num_ranks}
        os.environ |= {name: str(value) for name, value in place.items()}
        os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "TORCH_DISABLE_SHARE_RDZV_TCP_STORE": "1"}
    errors = os.open(settings.run_folder.parent / f"rank-{rank}.log", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(errors, 1)
    os.dup2(errors, 2)
    try:
        train(settings)
        os._exit(0)
    except BaseException:
        traceback.print_exc()
        sys.stderr.flush()
        os._exit(1)


def wait(ranks: list[int], limit_s: float) -> list[int | None]:
    """How each rank ended; None for those that were still there after `limit_s` seconds, and are then killed."""
    codes: dict[int, int | None] = {}
    end_s = time.monotonic() + limit_s
    while len(codes) < len(ranks) and time.monotonic() < end_s:
        for rank in ranks:
            if rank not in codes and (found := os.waitpid(rank, os.WNOHANG))[0]:
                codes[rank] = os.waitstatus_to_exitcode(found[1])
        time.sleep(0.002)
    for rank in ranks:
        if rank not in codes:
            os.kill(rank, signal.SIGKILL)
            os.waitpid(rank, 0)
            codes[rank] = None
    return [codes[rank] for rank in ranks]


def wait_for_first_checkpoint(settings: Settings) -> None:
    """Return when the first checkpoint is begun."""
    end_s = time.monotonic() + LIMIT_S
    while not (settings.run_folder / "train" / "checkpoints").exists() and time.monotonic() < end_s:
        time.sleep(0.002)


def outcome(settings: Settings) -> object:
    """What has to be the same: losses, and every byte of the last checkpoint's tensors."""
    folder = settings.run_folder / "train"
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    newest = max((folder / "checkpoints").glob("step-????????"))
    hashes = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in newest.glob("*.safetensors")}
    return [{name: line.get(name) for name in COMPARED} for line in lines], hashes


@contextlib.contextmanager
def copy_of(tokenized: Path, strategy: str) -> Iterator[Settings]:
    """A training in a folder of its own that holds the token store."""
    with tempfile.TemporaryDirectory() as name:
        shutil.copytree(tokenized, name, dirs_exist_ok=True)
        yield make_settings(Path(name), strategy)


def finish(settings: Settings, ranks: list[int]) -> object:
    """Wait for ranks that train to the end; what came of it."""
    codes = wait(ranks, LIMIT_S)
    if any(codes):
        logs = [path.read_text() for path in sorted(settings.run_folder.parent.glob("rank-*.log"))]
        raise RuntimeError(f"ranks ended with {codes}\n" + "\n".join(logs))
    return outcome(settings)


def kill_and_resume(settings: Settings, num_ranks: int, after_s: float, draw: random.Random, row: Row) -> object:
    """Kill a fresh training after some seconds, count what it left, and bring it to its end."""
    ranks = start(settings, num_ranks)
    wait_for_first_checkpoint(settings)
    time.sleep(after_s)
    doomed = ranks if draw.random() < 0.5 else [draw.choice(ranks)]
    for rank in doomed:
        os.kill(rank, signal.SIGKILL)
    codes = wait(ranks, NOTICE_S)
    if -signal.SIGKILL in codes:
        row.kills += 1
        left = settings.run_folder / "train" / "checkpoints"
        row.while_saving += any(left.glob("*.partial"))
        row.from_checkpoint += any(left.glob("step-????????"))
    return finish(settings, start(settings, num_ranks))


def kill_strategy(tokenized: Path, strategy: str, kills: int, seed: int) -> Row:
    """Kill trainings of one strategy until this many were killed."""
    row, draw, num_ranks = Row(), random.Random(f"{strategy}-{seed}"), NUM_RANKS[strategy]
    with copy_of(tokenized, strategy) as settings:
        ranks = start(settings, num_ranks)
        wait_for_first_checkpoint(settings)
        start_s = time.monotonic()
        expected = finish(settings, ranks)
        row.seconds = time.monotonic() - start_s
    while row.kills < kills:
        after_s = draw.uniform(0.0, row.seconds)
        with copy_of(tokenized, strategy) as settings:
            if kill_and_resume(settings, num_ranks, after_s, draw, row) != expected:
                row.unequal.append(f"kill {row.kills} after {after_s:.3f} s")
        print(f"{strategy}: {row.kills} of {kills} kills, {len(row.unequal)} unequal", file=sys.stderr, flush=True)
    return row


def main() -> None:
    """Print a row for each strategy."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--strategies", default="single,ddp,fsdp,zero2")
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    torch.set_num_threads(1)
    unequal = 0
    print("| strategy | processes | kills | while a checkpoint was written | with a checkpoint to go on from | equal |")
    print("|---|---:|---:|---:|---:|---:|", flush=True)
    with tempfile.TemporaryDirectory() as name:
        tokenize_topics(Path(name))
        for strategy in asked.strategies.split(","):
            if strategy.startswith("zero"):
                import deepspeed  # noqa: F401
            row = kill_strategy(Path(name), strategy, asked.kills, asked.seed)
            equal = row.kills - len(row.unequal)
            counts = f"{row.kills} | {row.while_saving} | {row.from_checkpoint} | {equal}"
            print(f"| {strategy} | {NUM_RANKS[strategy]} | {counts} |", flush=True)
            for line in row.unequal:
                print(f"unequal: {strategy}, {line}", flush=True)
            unequal += len(row.unequal)
    sys.exit(1 if unequal else 0)


if __name__ == "__main__":
    main()
