"""Text from a run: its newest whole checkpoint and its tokenizer."""

from collections.abc import Iterable, Iterator
from pathlib import Path

from llmforge.core import log
from llmforge.core.errors import InputError
from llmforge.generate.sampling import Sampling, generate_tokens
from llmforge.model.saved import load_model, newest_checkpoint
from llmforge.tokenize.tokenizer import load_tokenizer


def generate_text(
    run_folder: Path,
    prompt: str,
    num_tokens: int = 100,
    *,
    temperature: float = 0.8,
    top_k: int | None = None,
    top_p: float | None = 0.95,
    seed: int = 1234,
) -> str:
    """The prompt and what the run's model makes of it, up to the end of a document.

    Args:
        run_folder: holds `train/` and `tokenize/`.
        prompt: the text to go on from; empty: the start of a document.
        num_tokens: tokens to add, at most (count).
        temperature, top_k, top_p, seed: see `Sampling`.

    Raises: SettingsError for a value out of range; InputError if the run has no whole checkpoint or no tokenizer, or
        if the two do not belong together.
    """
    sampling = Sampling(temperature, top_k, top_p, seed)
    checkpoint = newest_checkpoint(run_folder / "train")
    tokenizer = load_tokenizer(run_folder / "tokenize")
    model, arch = load_model(checkpoint)
    if tokenizer.vocab_size != arch.vocab_size - arch.vocab_padding:
        raise InputError(
            f"{checkpoint}: the model has {arch.vocab_size - arch.vocab_padding} tokens, and the tokenizer of this run "
            f"has {tokenizer.vocab_size}",
            "the tokenizer was rebuilt after training; train again with --force",
        )
    log.say(f"model: {checkpoint.name} of {run_folder.name}")
    prompt_ids = [int(token) for token in tokenizer.encode(prompt)]
    start = prompt_ids or [tokenizer.eos_id]
    drawn = generate_tokens(model, start, num_tokens, sampling)
    return tokenizer.decode([*prompt_ids, *_until(drawn, tokenizer.eos_id)])


def _until(tokens: Iterable[int], stop: int) -> Iterator[int]:
    for token in tokens:
        if token == stop:
            return
        yield token
