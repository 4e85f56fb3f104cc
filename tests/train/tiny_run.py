"""A tiny run: two layers, width 32, context 16, 12 steps; and what of it has to repeat itself to the last bit."""

from pathlib import Path
from typing import Any

import orjson
from safetensors.numpy import load_file

from llmforge.config.schema import Settings

CONTEXT, BATCH_SEQUENCES = 16, 8
BATCH_TOKENS = CONTEXT * BATCH_SEQUENCES
STEPS = 12


def make_settings(folder: Path, **train_values: Any) -> Settings:
    """Settings of the tiny run in `folder`; `train_values` replace values of its train section."""
    values = {
        "strategy": "auto",
        "global_batch_tokens": BATCH_TOKENS,
        "micro_batch_sequences": 2,
        "tokens": STEPS * BATCH_TOKENS,
        "precision": "fp32",
        "log_every_steps": 1,
        "eval_every_steps": 5,
        "eval_tokens": 128,
        "threads": 1,
        "checkpoint": {"every_steps": 4},
    }
    return Settings.model_validate(
        {
            "run": {"name": "tiny", "dir": str(folder), "workers": 1},
            "tokenize": {"data": str(folder / "text.jsonl"), "vocab_size": 300, "val_fraction": 0.1},
            "model": {"layers": 2, "dim": 32, "heads": 2, "context": CONTEXT, "dropout": 0.1},
            "train": values | train_values,
        }
    )


def losses(train_folder: Path) -> list[tuple[int, str, str, str]]:
    """The deterministic fields of every line of the metrics, to the last bit."""
    lines = [orjson.loads(line) for line in (train_folder / "metrics.jsonl").read_bytes().splitlines()]
    return [
        (
            line["step"],
            line["loss"].hex(),
            line["grad_norm"].hex(),
            float(line.get("val_loss", 0)).hex(),
            line["data_hash"],
        )
        for line in lines
    ]


def final_weights(train_folder: Path) -> dict[str, bytes]:
    """The weights of the newest checkpoint, as bytes."""
    newest = max((train_folder / "checkpoints").glob("step-????????"))
    return {name: tensor.tobytes() for name, tensor in load_file(newest / "weights.safetensors").items()}
