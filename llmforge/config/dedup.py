"""`dedup`: which documents count as copies of each other."""

from pydantic import Field

from llmforge.config.base import Section, execution


class MinHashSection(Section):
    """Near-duplicates: MinHash, locality-sensitive hashing, and proof by Jaccard similarity."""

    ngram_words: int = Field(5, ge=1, le=64, description="words in a shingle")
    bands: int = Field(14, ge=1, le=1024, description="bands of the signature")
    rows: int = Field(8, ge=1, le=1024, description="hash values in a band")
    verify_jaccard: float = Field(0.7, gt=0, le=1, description="a pair below this similarity is not a duplicate")


class DedupSection(Section):
    """Exact and near-duplicates."""

    data: str | None = execution(None, description="a folder or file of JSONL or Parquet, instead of curate's output")
    exact: bool = Field(True, description="remove documents whose normalised text is equal")
    minhash: MinHashSection | None = Field(MinHashSection(), description="null: no near-duplicates")
    max_drop_share: float = Field(0.9, gt=0, le=1, description="more than this share of one source is a warning")
    max_bad_fraction: float = Field(0.001, ge=0, le=1, description="share of bad records that stops the stage")
    max_record_bytes: int = Field(8 * 2**20, ge=1024, description="a larger record of `data` is quarantined")
