"""What a finished training reports: losses against baselines, figures of the run, and a few samples of text."""

from pathlib import Path
from statistics import median
from typing import Any

import orjson

from llmforge.arch.architecture import Architecture
from llmforge.arch.params import count_parameters
from llmforge.config.schema import Settings
from llmforge.core.errors import InputError
from llmforge.core.files import to_json
from llmforge.generate.sampling import Sampling
from llmforge.generate.text import TextModel
from llmforge.tokenize.token_store import TokenStore
from llmforge.tokenize.tokenizer import Tokenizer, load_tokenizer
from llmforge.train.baselines import document_texts, gzip_bits_per_byte, unigram_bits_per_byte
from llmforge.train.checkpoint import Position
from llmforge.train.folder import TrainFolder
from llmforge.train.metrics import cut_after

_NUM_PROMPTED = 3
_PROMPT_TOKENS = 12
_SAMPLE_TOKENS = 80
_TEMPERATURE, _TOP_P = 0.8, 0.95


def final_results(settings: Settings, arch: Architecture, position: Position, folder: TrainFolder) -> dict[str, Any]:
    """The figures of a finished training.

    Args:
        settings, arch: what was trained.
        position: where it ended.
        folder: holds the metrics, whose last line is the last step's.
    Returns: counts, mean losses (nats a token), bits per byte of the validation split beside the two baselines.
    Raises: InputError if the metrics were lost.
    """
    lines = [orjson.loads(line) for line in folder.metrics.read_bytes().splitlines()]
    if not lines or lines[-1]["step"] != position.step:
        raise InputError(
            f"{folder.metrics}: holds no line of the last step, {position.step:,}", "put a copy back, or train anew"
        )
    last = lines[-1]
    return {
        "params": count_parameters(arch).total,
        "steps": position.step,
        "tokens": position.tokens,
        "epochs": last["epoch"],
        "train_loss": last["loss"],
        "val_loss": last.get("val_loss"),
        "val_bits_per_byte": last.get("val_bits_per_byte"),
        "val_by_source": last.get("val_by_source", {}),
        **baselines(settings),
        "tokens_per_s": median(line["tokens_per_s"] for line in lines),
        "data_hash": position.data_hash,
    }


def baselines(settings: Settings) -> dict[str, float | None]:
    """Bits per byte of the validation split by token frequencies and by gzip; None where the split is empty."""
    store = settings.run_folder / "tokenize"
    val = TokenStore.open(store, "val")
    if not val.num_bytes:
        return {"unigram_bits_per_byte": None, "gzip_bits_per_byte": None}
    return {
        "unigram_bits_per_byte": unigram_bits_per_byte(TokenStore.open(store, "train"), val),
        "gzip_bits_per_byte": gzip_bits_per_byte(document_texts(val, load_tokenizer(store))),
    }


def write_samples(settings: Settings, folder: TrainFolder, step: int) -> Path:
    """Let the newest checkpoint's model write: from nothing, and from the beginnings of validation documents.

    Args:
        settings, folder: the training.
        step: steps that it has taken (count); what was written at this step or later, before a resume, goes.

    Returns: the file, to which one line a text was added.
    """
    store = settings.run_folder / "tokenize"
    prompts = ["", *_beginnings(TokenStore.open(store, "val"), load_tokenizer(store))]
    model = TextModel(settings.run_folder)
    cut_after(folder.samples, step - 1)
    with open(folder.samples, "ab") as file:
        for seed, prompt in enumerate(prompts):
            text = model.write(prompt, _SAMPLE_TOKENS, Sampling(_TEMPERATURE, top_p=_TOP_P, seed=seed))
            file.write(to_json({"step": step, "prompt": prompt, "seed": seed, "text": text}) + b"\n")
    return folder.samples


def _beginnings(val: TokenStore, tokenizer: Tokenizer) -> list[str]:
    """The first tokens of the first document of a few validation shards."""
    shards = range(min(_NUM_PROMPTED, len(val.shards)))
    lengths = [min(_PROMPT_TOKENS, int(val.ends(shard)[0]) - 1) for shard in shards]
    return [tokenizer.decode(val.read(shard, 0, length)) for shard, length in zip(shards, lengths, strict=True)]
