"""`tokenize`: the tokenizer, and the token store."""

from typing import Literal

from pydantic import Field

from llmforge.config.base import Section, execution


class TokenizeSection(Section):
    """Training a tokenizer and encoding with it."""

    data: str | None = execution(None, description="a folder or file of JSONL or Parquet, instead of dedup's output")
    algorithm: Literal["bpe"] = Field("bpe", description="bpe: byte-level BPE, lossless")
    split_pattern: Literal["gpt2", "gpt4", "llama3"] = Field("gpt2", description="bpe: pieces that no merge crosses")
    vocab_size: int = Field(8192, ge=257, le=2**20, description="tokens, special tokens included")
    min_frequency: int = Field(2, ge=1, description="a pair rarer than this is not merged")
    max_train_bytes: int = Field(
        1_000_000_000, ge=1, description="a tokenizer learns from about this much text, sampled by document"
    )
    val_fraction: float = Field(0.02, gt=0, lt=0.5, description="share of the text held out, by candidate component")
    max_bad_fraction: float = Field(0.001, ge=0, le=1, description="share of bad records that stops the stage")
    max_record_bytes: int = Field(8 * 2**20, ge=1024, description="a larger record of `data` is quarantined")
