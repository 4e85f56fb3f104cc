"""`tokenize`: the tokenizer, and the token store."""

from typing import Annotated, Literal, get_args

from pydantic import Field, model_validator

from llmforge.config.base import Section, execution

Algorithm = Literal[
    "bpe",
    "char_bpe",
    "wordpiece",
    "sentencepiece_bpe",
    "sentencepiece_unigram",
    "byte",
    "char",
    "word_space",
    "word_punctuation",
    "word_rule",
]

MIN_FREQUENCY_KINDS: tuple[Algorithm, ...] = (
    "bpe", "char_bpe", "wordpiece", "word_space", "word_punctuation", "word_rule",
)  # fmt: skip
"""Kinds that leave out what occurs too rarely."""

_ONLY_FOR: dict[str, tuple[Algorithm, ...]] = {
    "split_pattern": ("bpe", "char_bpe"),
    "split_digits": ("bpe", "char_bpe", "sentencepiece_bpe", "sentencepiece_unigram"),
    "min_frequency": MIN_FREQUENCY_KINDS,
}
"""Settings that some algorithms have no use for."""

_ONLY_FOR_TRAINING = (
    "algorithm", "split_digits", "normalization", "special_tokens", "min_frequency", "max_train_bytes", "train_weights",
)  # fmt: skip
"""Settings that an existing tokenizer has no use for; a plan still reads `vocab_size`."""


class CompareSection(Section):
    """What `--compare` sets side by side; it changes no artifact."""

    algorithms: tuple[Algorithm, ...] = Field(get_args(Algorithm), min_length=1, description="kinds to train")
    vocab_sizes: tuple[Annotated[int, Field(ge=257, le=2**20)], ...] = Field(
        (), description="sizes to train each at; empty: vocab_size"
    )
    sample_bytes: int = Field(20_000_000, ge=10_000, description="text that all kinds learn from; held in memory")


class TokenizeSection(Section):
    """Training a tokenizer and encoding with it."""

    data: str | None = execution(None, description="a folder or file of JSONL or Parquet, instead of dedup's output")
    tokenizer: str | None = execution(
        None, description="an existing one, used as it is: tokenizer.json, vocab.json, .tiktoken or .model"
    )
    algorithm: Algorithm = Field("bpe", description="bpe: byte-level BPE, lossless")
    split_pattern: Literal["gpt2", "gpt4", "llama3"] = Field(
        "gpt2", description="pieces that no merge of a BPE crosses"
    )
    split_digits: bool = Field(False, description="each digit is a piece of its own")
    normalization: Literal["none", "nfc", "nfkc"] = Field(
        "none", description="nfc and nfkc change the text: not lossless"
    )
    vocab_size: Annotated[int, Field(ge=257, le=2**20)] | Literal["auto"] = Field(
        8192, description="tokens, special tokens included; auto: by the vocabulary scaling law, from model or budget"
    )
    vocab_multiple: int = Field(1, ge=1, le=4096, description="the vocabulary's size is rounded up to a multiple")
    special_tokens: tuple[Annotated[str, Field(min_length=1, max_length=64)], ...] = Field(
        (), description="control tokens of your own, never found in text; part of vocab_size, before the end token"
    )
    min_frequency: int = Field(2, ge=1, description="a pair (or a word) rarer than this gets no token")
    max_train_bytes: int = Field(
        1_000_000_000, ge=1, description="a tokenizer learns from about this much text, sampled by document"
    )
    train_weights: dict[str, Annotated[float, Field(gt=0, le=1000)]] = Field(
        {}, description="how densely a source is sampled for training; a source that is not named has 1"
    )
    val_fraction: float = Field(0.02, gt=0, lt=0.5, description="share of the text held out, by candidate component")
    max_bad_fraction: float = execution(0.001, ge=0, le=1, description="share of bad records that stops the stage")
    max_record_bytes: int = Field(8 * 2**20, ge=1024, description="a larger record of `data` is quarantined")
    compare: CompareSection = execution(CompareSection())

    @property
    def num_tokens(self) -> int:
        """The vocabulary's size where it is a number: in settings that a tokenizer is trained with, always."""
        assert self.vocab_size != "auto", "the size is chosen before a tokenizer is trained"
        return self.vocab_size

    @property
    def num_pieces(self) -> int:
        """Tokens that text is made of: all but the control tokens, of which the end of a document is the last."""
        return self.num_tokens - len(self.special_tokens) - 1

    @model_validator(mode="after")
    def _settings_belong_to_the_algorithm(self) -> "TokenizeSection":
        """Refuse what would change nothing."""
        if self.tokenizer is not None:
            if useless := next(filter(self._is_asked, _ONLY_FOR_TRAINING), None):
                raise ValueError(
                    f"{useless} has no effect beside tokenizer, which is used as it is; leave out one of the two"
                )
        else:
            for name, algorithms in _ONLY_FOR.items():
                if self._is_asked(name) and self.algorithm not in algorithms:
                    raise ValueError(f"{name} has no effect on {self.algorithm}; it is for {', '.join(algorithms)}")
        if len(set(self.special_tokens)) < len(self.special_tokens):
            raise ValueError("special_tokens names a token twice")
        return self

    def _is_asked(self, name: str) -> bool:
        return bool(getattr(self, name) != type(self).model_fields[name].default)

    def sized(self, vocab_size: int) -> "TokenizeSection":
        """The same settings with this size."""
        return self.model_copy(update={"vocab_size": vocab_size})
