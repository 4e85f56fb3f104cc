"""Step 2: train the tokenizer on a stream of training text, never on a validation document."""

import unicodedata
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any, Literal

from llmforge.arch.vocabulary import choose_vocab_size
from llmforge.config.tokenize import MIN_FREQUENCY_KINDS, TokenizeSection
from llmforge.core import log
from llmforge.core.documents import Document
from llmforge.core.errors import SettingsError
from llmforge.core.files import read_json, write_json
from llmforge.core.hardware import num_cores
from llmforge.core.hashing import hash_file
from llmforge.pipeline.counts import Counts
from llmforge.pipeline.stage import Context, Plan, Shard
from llmforge.tokenize.algorithms import is_lossless, train
from llmforge.tokenize.corpus import plan_shards, read_shard, share
from llmforge.tokenize.encoders import choose_encoder
from llmforge.tokenize.existing import round_trips, use_existing
from llmforge.tokenize.survey import Survey
from llmforge.tokenize.tokenizer import EOS_TOKEN, TOKENIZER, TOKENIZER_CONFIG, Tokenizer, library_threads

# The trainer keeps every distinct piece in memory: a run of megabytes without a blank must not be one piece.
_SLICE_CHARS = 10_000
_IDENTITY_SAMPLE_BYTES = 1_000_000
_FORMS: dict[str, Literal["NFC", "NFKC"]] = {"nfc": "NFC", "nfkc": "NFKC"}


class TrainStep:
    """Trains on all shards at once; the library spreads the work over threads with the same result."""

    name = "train"

    def plan(self, context: Context) -> Plan:
        """A single shard: the whole training text."""
        return Plan((Shard(0, "the training text", {}, sum(Survey.load(context).train_bytes.values())),))

    def run_shard(self, shard: Shard, context: Context) -> Counts:
        """Train, or take the existing one; write `tokenizer.json` and `tokenizer_config.json`."""
        settings, sample = sized_settings(context), TrainingText(context)
        with library_threads(context.settings.run.workers or num_cores()):
            if settings.tokenizer is not None:
                tokenizer = use_existing(settings.tokenizer, settings.split_pattern)
                facts = {"algorithm": "existing", "lossless": round_trips(tokenizer)}
            else:
                tokenizer = Tokenizer(train(settings, sample), EOS_TOKEN)
                facts = describe_training(settings, sample)
            choice = choose_encoder(tokenizer, sample.first_texts(_IDENTITY_SAMPLE_BYTES))
        tokenizer.save(context.output(TOKENIZER), context.output(TOKENIZER_CONFIG))
        write_json(context.scratch("train") / "facts.json", {**facts, "vocab_size": tokenizer.vocab_size})
        write_json(context.scratch("train") / "encoder.json", asdict(choice))
        return Counts()

    def finish(self, context: Context) -> dict[str, Any]:
        """Warn where the vocabulary came out smaller than asked."""
        facts = read_json(context.scratch("train") / "facts.json")
        facts["sha256"] = hash_file(context.folder / TOKENIZER)
        if facts["vocab_size"] < facts.get("asked_vocab_size", 0):
            context.warnings.append(explain_small_vocabulary(facts, context.settings.tokenize))
        encoder = read_json(context.scratch("train") / "encoder.json")
        log.decided("encoder", encoder["name"], encoder["reason"])
        context.warnings.extend(encoder.pop("wrong"))
        return {"tokenizer": facts, "encoder": encoder}


def sized_settings(context: Context) -> TokenizeSection:
    """The settings with the vocabulary's size as a number."""
    section = context.settings.tokenize
    if section.tokenizer is not None:
        return section
    choice = choose_vocab_size(context.settings, sum(Survey.load(context).train_bytes.values()))
    if section.vocab_size == "auto":
        log.decided("tokenize.vocab_size", f"{choice.size:,}", choice.reason)
    return section.sized(choice.size)


def describe_training(settings: TokenizeSection, sample: "TrainingText") -> dict[str, Any]:
    """What the tokenizer was trained on, and what it promises."""
    facts: dict[str, Any] = {
        "algorithm": settings.algorithm,
        "lossless": is_lossless(settings),
        "train_documents": dict(sample.documents),
        "train_bytes": dict(sample.bytes),
        "sampling_rates": sample.rates,
    }
    if settings.algorithm != "byte":  # which has 256 bytes and an end token, whatever is asked
        facts["asked_vocab_size"] = settings.num_tokens
    return facts


def explain_small_vocabulary(facts: dict[str, Any], settings: TokenizeSection) -> str:
    """Why the vocabulary is smaller than was asked for, and by which setting it could grow, if any."""
    text = f"{sum(facts['train_bytes'].values()):,} bytes of training text hold no more"
    if settings.algorithm in MIN_FREQUENCY_KINDS:
        text += f" that occur {settings.min_frequency} times (tokenize.min_frequency)"
    return f"the vocabulary has {facts['vocab_size']:,} tokens, not the {facts['asked_vocab_size']:,} asked for: {text}"


class TrainingText:
    """The text that a tokenizer is trained on, as batches of slices; counts what it gave out.

    Each document is in or out by a number drawn from its id, at the rate of its source, so that neither the order
    of files nor the number of workers matters. May be gone through more than once.
    """

    def __init__(self, context: Context) -> None:
        self._context = context
        self._survey = Survey.load(context)
        settings = context.settings.tokenize
        self.rates = sampling_rates(self._survey.train_bytes, settings.train_weights, settings.max_train_bytes)
        self.documents: Counter[str] = Counter()
        self.bytes: Counter[str] = Counter()

    def __iter__(self) -> Iterator[list[str]]:
        self.documents.clear()
        self.bytes.clear()
        for shard in plan_shards(self._context).shards:
            for document in read_shard(shard, self._context):
                if isinstance(document, Document) and document.text and self._is_taken(document):
                    self.documents[document.source] += 1
                    self.bytes[document.source] += document.num_bytes
                    yield slice_text(self._normalize(document.text))

    def _normalize(self, text: str) -> str:
        """The text as the tokenizer will see it."""
        form = _FORMS.get(self._context.settings.tokenize.normalization)
        return unicodedata.normalize(form, text) if form else text

    def first_texts(self, num_bytes: int) -> list[str]:
        """Documents of every shard from its start, up to about this much over all (UTF-8 bytes)."""
        shards = plan_shards(self._context).shards
        texts = []
        for shard in shards:
            left = num_bytes // len(shards)
            for document in read_shard(shard, self._context):
                if left <= 0:
                    break
                if isinstance(document, Document):
                    texts.append(document.text[:left])
                    left -= document.num_bytes
        return texts

    def _is_taken(self, document: Document) -> bool:
        if self._survey.split.side(document) == "val":
            return False
        return share(self._survey.split.seed, "sample", document.id) < self.rates[document.source]


def sampling_rates(train_bytes: dict[str, int], weights: dict[str, float], max_train_bytes: int) -> dict[str, float]:
    """The share of each source's documents that a tokenizer is trained on.

    Args:
        train_bytes: training text of each source (UTF-8 bytes).
        weights: relative rates; a source that is not named has 1.
        max_train_bytes: what the sample may come to, about (UTF-8 bytes).
    Returns: rates from 0 to 1 in the proportion of the weights; the densest source is taken whole where it fits.
    Raises: SettingsError if a weight names a source that is not there.
    """
    if unknown := sorted(set(weights) - set(train_bytes)):
        raise SettingsError(
            f"tokenize.train_weights names {unknown[0]!r}, but the sources are {', '.join(sorted(train_bytes))}"
        )
    rates = {source: weights.get(source, 1.0) for source in train_bytes}
    weighted = sum(rates[source] * size for source, size in train_bytes.items())
    scale = min(1 / max(rates.values()), max_train_bytes / max(1, weighted))
    return {source: min(1.0, rate * scale) for source, rate in rates.items()}


def slice_text(text: str, max_chars: int = _SLICE_CHARS) -> list[str]:
    """Cut a text into slices of at most `max_chars` characters, before a blank wherever there is one."""
    slices, start = [], 0
    while len(text) - start > max_chars:
        blank = text.rfind(" ", start + 1, start + max_chars)
        end = blank if blank > 0 else start + max_chars
        slices.append(text[start:end])
        start = end
    return [*slices, text[start:]]
