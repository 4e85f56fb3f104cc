"""`tokenize --compare`: several kinds and sizes of tokenizer, trained on one sample and scored on another.

draw_samples -> train each kind -> score on held-out text -> what it means for training -> one table
"""

import heapq
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from llmforge.arch.flops import flops_per_token
from llmforge.arch.params import count_parameters
from llmforge.arch.presets import resolve_architecture
from llmforge.arch.vocabulary import choose_vocab_size
from llmforge.config.schema import Settings
from llmforge.config.tokenize import TokenizeSection
from llmforge.core import log
from llmforge.core.documents import Document
from llmforge.core.errors import InputError, MachineError, SettingsError
from llmforge.core.hardware import num_cores
from llmforge.pipeline.stage import Context
from llmforge.tokenize.algorithms import train
from llmforge.tokenize.corpus import ValidationSplit, plan_shards, read_shard, share
from llmforge.tokenize.existing import use_existing
from llmforge.tokenize.scores import Scores, score
from llmforge.tokenize.stage import TOKENIZE
from llmforge.tokenize.tokenizer import EOS_TOKEN, Tokenizer, library_threads
from llmforge.tokenize.training import slice_text

EXISTING = "existing"
# Scores settle long before the tokenizer does: a fifth of the training sample is enough.
_HELD_OUT_SHARE = 0.2


@dataclass(frozen=True)
class Row:
    """One tokenizer: its kind and size, its scores, and what it means for training the run's model.

    Attributes:
        corpus_tokens: tokens of the whole corpus, estimated from the held-out text (count).
        flops: training FLOPs of one pass over them.
        embedding_share: token embedding and head among all parameters (0 to 1).
    """

    algorithm: str
    vocab_size: int
    scores: Scores
    corpus_tokens: int
    flops: float
    embedding_share: float


@dataclass(frozen=True)
class Samples:
    """Text to train on, held-out text by source and language, and the size of the whole (UTF-8 bytes)."""

    train: list[list[str]]
    held_out: dict[str, list[str]]
    corpus_bytes: int


@dataclass(frozen=True)
class Comparison:
    """All rows, and the text that they are about: trained on, scored on, and the whole corpus (UTF-8 bytes)."""

    rows: list[Row]
    train_bytes: int
    held_out_bytes: int
    corpus_bytes: int


def candidates(settings: Settings, corpus_bytes: int | None = None) -> list[TokenizeSection]:
    """The settings of every tokenizer that `tokenize.compare` names, sizes within kinds."""
    section = settings.tokenize
    sizes = section.compare.vocab_sizes or (choose_vocab_size(settings, corpus_bytes).size,)
    return [
        section.sized(size).model_copy(update={"algorithm": algorithm})
        for algorithm in section.compare.algorithms
        for size in sizes
    ]


def compare(settings: Settings, run_folder: Path) -> Comparison:
    """Score the tokenizer that `tokenize.tokenizer` names, if any, then train and score every candidate.

    A candidate that cannot be trained here is left out with a warning.

    Raises: InputError if the corpus has too few documents to hold some out; what training raised if there is nothing
        to compare, because no candidate can be trained.
    """
    rows: list[Row] = []
    section = settings.tokenize
    context = Context(run_folder, settings, TOKENIZE.find_inputs(settings, run_folder))
    samples = draw_samples(context, section.compare.sample_bytes)
    if section.tokenizer is not None:
        rows.append(_scored(EXISTING, use_existing(section.tokenizer, section.split_pattern), samples, settings))
    for chosen in candidates(settings, samples.corpus_bytes):
        try:
            with library_threads(settings.run.workers or num_cores()):
                tokenizer = Tokenizer(train(chosen, samples.train), EOS_TOKEN)
        except (InputError, MachineError, SettingsError) as error:  # no package, or a vocabulary too small for the text
            log.warn(f"{chosen.algorithm} {chosen.num_tokens:,} is left out: {error}")
            reason = error
            continue
        rows.append(_scored(chosen.algorithm, tokenizer, samples, settings))
    if not rows:
        raise reason
    held_out = [text for texts in samples.held_out.values() for text in texts]
    return Comparison(rows, _size(chain(*samples.train)), _size(held_out), samples.corpus_bytes)


def _scored(name: str, tokenizer: Tokenizer, samples: Samples, settings: Settings) -> Row:
    with library_threads(1):
        scores = score(tokenizer, samples.held_out)
    log.say(f"{name} {tokenizer.vocab_size:,}: {scores.bytes_per_token:.2f} bytes per token")
    return _row(name, tokenizer, scores, samples.corpus_bytes, settings)


def _size(texts: Iterable[str]) -> int:
    return sum(len(text.encode()) for text in texts)


def _row(algorithm: str, tokenizer: Tokenizer, scores: Scores, corpus_bytes: int, settings: Settings) -> Row:
    arch = resolve_architecture(settings.model, tokenizer.vocab_size)
    count = count_parameters(arch)
    tokens = round(corpus_bytes / scores.bytes_per_token)
    share_of_embedding = (count.token_embedding + count.head) / count.total
    flops = flops_per_token(arch).by_layer * tokens
    return Row(algorithm, tokenizer.vocab_size, scores, tokens, flops, share_of_embedding)


def draw_samples(context: Context, sample_bytes: int) -> Samples:
    """Take two samples in one pass: the documents with the lowest numbers drawn from their ids, up to the size.

    Sides are those of the run's validation split; memory is bounded by the sizes of the samples.
    """
    settings = context.settings
    split = ValidationSplit(settings.run.seed, max(settings.tokenize.val_fraction, _HELD_OUT_SHARE / 4))
    lowest = {"train": _Lowest(sample_bytes), "val": _Lowest(round(sample_bytes * _HELD_OUT_SHARE))}
    corpus_bytes = 0
    for shard in plan_shards(context).shards:
        for document in read_shard(shard, context):
            if isinstance(document, Document) and document.text:
                corpus_bytes += document.num_bytes
                lowest[split.side(document)].offer(share(split.seed, "sample", document.id), document)
    held_out: dict[str, list[str]] = defaultdict(list)
    for document in lowest["val"]:
        held_out[_group(document)].append(document.text)
    train_sample = [slice_text(document.text) for document in lowest["train"]]
    if not held_out or not train_sample:
        raise InputError("too few documents to compare tokenizers: none is held out", "give more documents")
    return Samples(train_sample, dict(sorted(held_out.items())), corpus_bytes)


def _group(document: Document) -> str:
    """The document's source, with its language where curate identified one."""
    language = document.meta.get("language")
    return f"{document.source} ({language})" if isinstance(language, str) else document.source


class _Lowest:
    """The documents with the lowest numbers whose text fits into `max_bytes`, and one more."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes, self._num_bytes = max_bytes, 0
        self._heap: list[tuple[float, str, Document]] = []

    def offer(self, number: float, document: Document) -> None:
        """Take the document in; the highest ones leave while the others fill the size."""
        heapq.heappush(self._heap, (-number, document.id, document))
        self._num_bytes += document.num_bytes
        while self._num_bytes - self._heap[0][2].num_bytes >= self._max_bytes:
            self._num_bytes -= heapq.heappop(self._heap)[2].num_bytes

    def __iter__(self) -> Iterator[Document]:
        """Lowest first."""
        return (document for *_, document in sorted(self._heap, key=lambda entry: (-entry[0], entry[1])))
