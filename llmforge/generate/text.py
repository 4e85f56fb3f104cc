"""Text from a run: its newest whole checkpoint and its tokenizer."""

from collections.abc import Iterable, Iterator
from pathlib import Path

from llmforge.core import log
from llmforge.core.errors import InputError
from llmforge.generate.sampling import Sampling, generate_tokens
from llmforge.model.saved import load_model, newest_checkpoint
from llmforge.tokenize.tokenizer import load_tokenizer


class TextModel:
    """The model of a run's newest whole checkpoint, with the run's tokenizer.

    Args:
        run_folder: holds `train/` and `tokenize/`.

    Raises: InputError if the run has no whole checkpoint or no tokenizer, or if the two do not belong together.
    """

    def __init__(self, run_folder: Path) -> None:
        checkpoint = newest_checkpoint(run_folder / "train")
        self._tokenizer = load_tokenizer(run_folder / "tokenize")
        self._model, arch = load_model(checkpoint)
        if self._tokenizer.vocab_size != arch.vocab_size - arch.vocab_padding:
            raise InputError(
                f"{checkpoint}: the model has {arch.vocab_size - arch.vocab_padding} tokens, and the tokenizer of this "
                f"run has {self._tokenizer.vocab_size}",
                "the tokenizer was rebuilt after training; train again with --force",
            )
        log.say(f"model: {checkpoint.name} of {run_folder.name}")

    def write(self, prompt: str, num_tokens: int, sampling: Sampling) -> str:
        """The prompt and what the model makes of it: at most `num_tokens` (count), up to the end of a document.

        An empty prompt is the start of a document.
        """
        prompt_ids = [int(token) for token in self._tokenizer.encode(prompt)]
        start = prompt_ids or [self._tokenizer.eos_id]
        drawn = generate_tokens(self._model, start, num_tokens, sampling)
        return self._tokenizer.decode([*prompt_ids, *_until(drawn, self._tokenizer.eos_id)])


def _until(tokens: Iterable[int], stop: int) -> Iterator[int]:
    for token in tokens:
        if token == stop:
            return
        yield token
