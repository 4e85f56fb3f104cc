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
from llmforge.tokenize.scores import Scores, score
from llmforge.tokenize.stage import TOKENIZE
from llmforge.tokenize.tokenizer import EOS_TOKEN, Tokenizer, library_threads
from llmforge.tokenize.training import slice_text

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
    """Train and score every candidate; one that cannot be trained here is left out with a warning.

    Raises: InputError if the corpus has too few documents to hold some out; MachineError or SettingsError if no
        candidate can be trained.
    """
    rows: list[Row] = []
    context = Context(run_folder, settings, TOKENIZE.find_inputs(settings, run_folder))
    samples = draw_samples(context, settings.tokenize.compare.sample_bytes)
    for chosen in candidates(settings, samples.corpus_bytes):
        try:
            with library_threads(settings.run.workers or num_cores()):
                tokenizer = Tokenizer(train(chosen, samples.train), EOS_TOKEN)
        except (MachineError, SettingsError) as error:  # a package is missing, or the vocabulary is too small for it
            log.warn(f"{chosen.algorithm} {chosen.num_tokens:,} is left out: {error}")
            reason = error
            continue
        with library_threads(1):
            scores = score(tokenizer, samples.held_out)
        log.say(f"{chosen.algorithm} {tokenizer.vocab_size:,}: {scores.bytes_per_token:.2f} bytes per token")
        rows.append(_row(chosen.algorithm, tokenizer, scores, samples.corpus_bytes, settings))
    if not rows:
        raise reason
    held_out = [text for texts in samples.held_out.values() for text in texts]
    return Comparison(rows, _size(chain(*samples.train)), _size(held_out), samples.corpus_bytes)


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


_TOKENIZER = ("algorithm", "tokens", "comes back")
_SCORES = ("bytes/token", "tokens/word", "unknown", "Rényi", "dead", "MB/s")
_TRAINING = ("corpus tokens", "FLOPs of an epoch", "embedding share")


def tables(rows: list[Row]) -> dict[str, list[list[str]]]:
    """The comparison in three parts by title, each a header and cells that begin with tokenizer and round trip."""
    groups = sorted({group for row in rows for group in row.scores.by_group})
    parts = {
        "scores on held-out text": (_SCORES, _scores),
        "what it means for training": (_TRAINING, _training),
        "bytes per token by source": (groups, lambda row: [f"{row.scores.by_group[group]:.2f}" for group in groups]),
    }
    return {
        title: [[*_TOKENIZER, *names], *([*_tokenizer(row), *cells(row)] for row in rows)]
        for title, (names, cells) in parts.items()
    }


def _tokenizer(row: Row) -> list[str]:
    return [row.algorithm, f"{row.vocab_size:,}", f"{row.scores.round_trip:.1%}"]


def _scores(row: Row) -> list[str]:
    scores = row.scores
    return [
        f"{scores.bytes_per_token:.2f}",
        f"{scores.tokens_per_word:.2f}",
        f"{scores.unknown_rate:.1%}",
        f"{scores.renyi:.3f}",
        f"{scores.dead:.1%}",
        f"{scores.mb_per_s:.1f}",
    ]


def _training(row: Row) -> list[str]:
    return [f"{row.corpus_tokens:,}", f"{row.flops:.2e}", f"{row.embedding_share:.1%}"]


def markdown(rows: list[Row]) -> str:
    """The comparison as one Markdown table."""
    first, *others = tables(rows).values()
    lines = [[*line, *(cell for part in others for cell in part[place][3:])] for place, line in enumerate(first)]
    lines.insert(1, ["---"] * len(lines[0]))
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"
