"""Times training on a text of your own, against a plain PyTorch loop in nanoGPT's manner, both in this one process.

    python scripts/bench_train.py TEXT [--threads 2] [--steps 30]
    python scripts/bench_train.py TEXT --time-to-loss 1.88 --config configs/shakespeare.yaml [--set KEY=VALUE]

TEXT is read as characters; its first 90 % train and the rest validates, as nanoGPT splits it. The first form prints
tokens per second of both sides at nanoGPT's two sizes, with the same model and batch: the median step. The sides take
turns of ten steps, so that a machine that is busy with something else slows both, and each has its own data in the
processor's caches, as in a training; the first step of a turn is left out. llmforge runs as it is and compiled, which
`train.compile: auto` takes in trainings of ten minutes and more where it pays. The second form trains nanoGPT's CPU
configuration (4 layers, width 128, context 64, 2,000 iterations) and the model of the config, in turns, and prints how
long each took and the loss over the whole validation split; evaluation is not timed. With fewer --plain-steps, the time
of the plain side's 2,000 is extrapolated from those.
"""

import argparse
import math
import platform
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from llmforge.arch.architecture import Architecture
from llmforge.arch.presets import resolve_architecture
from llmforge.config.load import load_settings
from llmforge.config.model import ModelSection
from llmforge.config.schema import Settings
from llmforge.config.train import TrainSection
from llmforge.model.transformer import Transformer
from llmforge.parallel.precision import calibrate
from llmforge.parallel.process_group import join_world
from llmforge.parallel.strategies import create_strategy
from llmforge.parallel.strategy import MicroBatch, Strategy
from llmforge.train.optimizers import build_optimizer
from llmforge.train.order import Permutation
from llmforge.train.schedules import learning_rate

EVAL_ROWS, TURNS, PLAIN_STEPS, TURN_STEPS = 64, 20, 2000, 10
SIZES = {"nanoGPT's CPU configuration": ("nanogpt-cpu", 12), "10M parameters": ("nanogpt-char", 16)}
"""The preset, and the sequences of a step."""


class PlainAttention(nn.Module):
    """Attention with one matrix for queries, keys and values."""

    def __init__(self, arch: Architecture) -> None:
        super().__init__()
        self.heads = arch.heads
        self.qkv = nn.Linear(arch.dim, 3 * arch.dim, bias=False)
        self.out = nn.Linear(arch.dim, arch.dim, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Causal self-attention."""
        q, k, v = (part.unflatten(2, (self.heads, -1)).transpose(1, 2) for part in self.qkv(x).chunk(3, dim=2))
        mixed = functional.scaled_dot_product_attention(q, k, v, is_causal=True)
        out: Tensor = self.out(mixed.transpose(1, 2).flatten(2))
        return out


class PlainModel(nn.Module):
    """A GPT with tied embeddings and no biases, fp32, as the plain loop trains it on a CPU."""

    def __init__(self, arch: Architecture, vocab_size: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocab_size, arch.dim)
        self.position = nn.Embedding(arch.context, arch.dim)
        self.blocks = nn.ModuleList(
            nn.ModuleList(
                [
                    nn.LayerNorm(arch.dim, bias=False),
                    PlainAttention(arch),
                    nn.LayerNorm(arch.dim, bias=False),
                    nn.Linear(arch.dim, 4 * arch.dim, bias=False),
                    nn.Linear(4 * arch.dim, arch.dim, bias=False),
                ]
            )
            for _ in range(arch.layers)
        )
        self.norm = nn.LayerNorm(arch.dim, bias=False)
        for name, parameter in self.named_parameters():
            if parameter.dim() == 2:
                residual = name.endswith(("out.weight", ".4.weight"))
                nn.init.normal_(parameter, std=0.02 / math.sqrt(2 * arch.layers) if residual else 0.02)

    def forward(self, tokens: Tensor, targets: Tensor) -> Tensor:
        """Mean loss of a token."""
        x = self.embedding(tokens) + self.position.weight[: tokens.shape[1]]
        for norm, attention, ffn_norm, up, down in self.blocks:
            x = x + attention(norm(x))
            x = x + down(functional.gelu(up(ffn_norm(x))))
        logits = self.norm(x) @ self.embedding.weight.T
        return functional.cross_entropy(logits.flatten(0, 1), targets.flatten(), ignore_index=-100)


class Plain:
    """The plain loop: random offsets, AdamW, clipping, a cosine after 100 steps of warm-up."""

    def __init__(self, arch: Architecture, batch: int, train: np.ndarray, vocab_size: int) -> None:
        torch.manual_seed(1337)
        self.context, self.batch, self.train, self.step_number = arch.context, batch, train, 0
        self.model = PlainModel(arch, vocab_size)
        matrices = [p for p in self.model.parameters() if p.dim() >= 2]
        vectors = [p for p in self.model.parameters() if p.dim() < 2]
        groups = [{"params": matrices, "weight_decay": 0.1}, {"params": vectors, "weight_decay": 0.0}]
        self.optimizer = torch.optim.AdamW(groups, lr=1e-3, betas=(0.9, 0.99))

    def step(self) -> float:
        """One iteration; returns its loss."""
        context = self.context
        offsets = torch.randint(len(self.train) - context, (self.batch,)).tolist()
        rows = torch.stack([torch.from_numpy(self.train[i : i + context + 1].astype(np.int64)) for i in offsets])
        for group in self.optimizer.param_groups:
            group["lr"] = self._lr()
        loss: Tensor = self.model(rows[:, :-1], rows[:, 1:])
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimizer.step()
        self.step_number += 1
        return loss.item()

    def _lr(self) -> float:
        if self.step_number < 100:
            return 1e-3 * (self.step_number + 1) / 101
        done = min(1.0, (self.step_number - 100) / 1900)
        return 1e-4 + 0.5 * (1.0 + math.cos(math.pi * done)) * 9e-4

    def loss(self, batch: MicroBatch) -> float:
        """Loss sum of an evaluation batch."""
        with torch.no_grad():
            return float(self.model(batch.tokens_BT, batch.targets_BT)) * int((batch.targets_BT >= 0).sum())


class Ours:
    """llmforge's engine, order of samples, optimizer and schedule."""

    def __init__(
        self, train: TrainSection, arch: Architecture, tokens: np.ndarray, num_steps: int, seed: int = 1
    ) -> None:
        self.train, self.tokens, self.num_steps, self.step_number = train, tokens, num_steps, 0
        self.context, self.world = arch.context, join_world()
        self.rows = train.global_batch_tokens // arch.context
        self.order = Permutation((len(tokens) - 1) // arch.context, seed=seed)
        precision = train.precision
        if precision == "auto":
            micro = train.micro_batch_sequences
            precision = calibrate(arch, micro_batch_sequences=micro, world=self.world).precision
        self.precision = precision
        self.strategy: Strategy = create_strategy(train, precision=precision, world=self.world)
        build = build_optimizer(train.optimizer, bf16=precision == "bf16")
        self.strategy.prepare(lambda: Transformer(arch), build, seed=seed)

    def step(self) -> float:
        """One optimizer step; returns its loss."""
        samples = np.arange(self.step_number * self.rows, (self.step_number + 1) * self.rows)
        windows = self.order(samples % ((len(self.tokens) - 1) // self.context))
        rows = torch.from_numpy(
            np.stack([self.tokens[w * self.context : (w + 1) * self.context + 1] for w in windows]).astype(np.int64)
        )
        batches = [MicroBatch(part[:, :-1], part[:, 1:]) for part in rows.split(self.train.micro_batch_sequences)]
        result = self.strategy.forward_backward(batches, seed=self.step_number)
        lr = learning_rate(self.step_number, self.num_steps, self.train.optimizer.lr, self.train.schedule)
        self.strategy.apply(lr)
        self.step_number += 1
        return result.loss

    def loss(self, batch: MicroBatch) -> float:
        """Loss sum of an evaluation batch."""
        return self.strategy.eval_step(batch).loss_sum


def main() -> None:
    """Print one line for each measurement."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("text", type=Path)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--steps", type=int, default=30, help="of each side, in turns of ten")
    parser.add_argument("--time-to-loss", type=float)
    parser.add_argument("--config", type=Path, help="model and train sections for --time-to-loss")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="instead of the config's value")
    parser.add_argument("--plain-steps", type=int, default=PLAIN_STEPS, help="of the plain side's 2,000 steps")
    asked = parser.parse_args()
    if (asked.time_to_loss is None) != (asked.config is None):
        parser.error("--time-to-loss and --config go together")
    torch.set_num_threads(asked.threads)
    text = asked.text.read_text(encoding="utf-8")
    alphabet = {character: number for number, character in enumerate(sorted(set(text)))}
    tokens = np.array([alphabet[character] for character in text], dtype=np.uint16)
    train, val = tokens[: int(0.9 * len(tokens))], tokens[int(0.9 * len(tokens)) :]
    print(f"{platform.machine()}, {asked.threads} threads, torch {torch.__version__}; {len(train):,} training tokens")
    if asked.time_to_loss is None:
        for name, (preset, batch) in SIZES.items():
            compare_speed(name, preset, batch, train, len(alphabet), asked.steps)
    else:
        splits = (train, val, len(alphabet))
        settings = load_settings(asked.config, asked.set).settings
        compare_time_to_loss(settings, *splits, asked.time_to_loss, asked.plain_steps)


def compare_speed(name: str, preset: str, batch: int, train: np.ndarray, vocab_size: int, steps: int) -> None:
    """Median step of each side; they take turns."""
    arch = resolve_architecture(ModelSection(preset=preset), vocab_size)
    section = TrainSection(global_batch_tokens=batch * arch.context, micro_batch_sequences=batch)
    ours = Ours(section, arch, train, 2000)
    faster = section.model_copy(update={"compile": True, "precision": ours.precision})
    plain, compiled = Plain(arch, batch, train, vocab_size), Ours(faster, arch, train, 2000)
    sides = {"plain": plain.step, "llmforge": ours.step, "llmforge, compiled": compiled.step}
    first_s = {side: seconds(step) for side, step in sides.items()}
    times: dict[str, list[float]] = {side: [] for side in sides}
    for _ in range(-(-steps // TURN_STEPS)):
        for side, step in sides.items():
            times[side] += [seconds(step) for _ in range(TURN_STEPS)][1:]
    medians = {side: median(found) for side, found in times.items()}
    for side, step_s in medians.items():
        first = f"; its first step {first_s[side]:.0f} s" if side.endswith("compiled") else ""
        speed, ratio = batch * arch.context / step_s, medians["plain"] / step_s
        how = "fp32" if side == "plain" else ours.precision
        print(f"{name}: {side} {speed:,.0f} tokens/s ({how}); ratio {ratio:.2f}{first}")


def compare_time_to_loss(
    settings: Settings, train: np.ndarray, val: np.ndarray, vocab_size: int, goal: float, plain_steps: int
) -> None:
    """Both sides in turns, so that a machine that is busy with something else slows both; time and loss of each."""
    preset, batch = SIZES["nanoGPT's CPU configuration"]
    arch = resolve_architecture(ModelSection(preset=preset), vocab_size)
    plain = Plain(arch, batch, train, vocab_size)
    assert settings.train.tokens != "auto"
    num_steps = -(-settings.train.tokens // settings.train.global_batch_tokens)
    ours = Ours(settings.train, resolve_architecture(settings.model, vocab_size), train, num_steps, settings.run.seed)
    plain_s = ours_s = 0.0
    for turn in range(TURNS):
        plain_s += seconds_of(plain.step, share(plain_steps, turn))
        ours_s += seconds_of(ours.step, share(num_steps, turn))
    plain_s *= PLAIN_STEPS / plain_steps
    reached = f", loss {full_loss(plain.loss, val, arch.context):.4f}" if plain_steps == PLAIN_STEPS else ""
    print(f"plain: {PLAIN_STEPS} steps, {plain_s:.1f} s{reached}")
    loss = full_loss(ours.loss, val, ours.context)
    verdict = "reached" if loss <= goal else "missed"
    print(f"llmforge: {num_steps} steps, {ours_s:.1f} s, loss {loss:.4f} ({ours.precision}); {goal} {verdict}")
    print(f"time of the plain side's {PLAIN_STEPS} steps over that of llmforge's {num_steps}: {plain_s / ours_s:.2f}")


def share(steps: int, turn: int) -> int:
    """Steps of one turn; over all turns they add up."""
    return steps * (turn + 1) // TURNS - steps * turn // TURNS


def seconds_of(step: Callable[[], float], num_steps: int) -> float:
    """Wall seconds of this many steps."""
    start_s = time.perf_counter()
    for _ in range(num_steps):
        step()
    return time.perf_counter() - start_s


def full_loss(loss_sum: Callable[[MicroBatch], float], val: np.ndarray, context: int) -> float:
    """Mean loss over the whole validation split, in windows of the context."""
    windows = (len(val) - 1) // context
    flat = torch.from_numpy(val[: windows * context + 1].astype(np.int64))
    tokens, targets = flat[:-1].view(windows, context), flat[1:].view(windows, context)
    pairs = zip(tokens.split(EVAL_ROWS), targets.split(EVAL_ROWS), strict=True)
    return sum(loss_sum(MicroBatch(*pair)) for pair in pairs) / (windows * context)


def seconds(step: Callable[[], float]) -> float:
    """Wall seconds of one step."""
    start_s = time.perf_counter()
    step()
    return time.perf_counter() - start_s


if __name__ == "__main__":
    main()
