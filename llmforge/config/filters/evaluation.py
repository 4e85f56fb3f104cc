"""The rule that takes evaluation items out of training text."""

from typing import Literal

from pydantic import Field

from llmforge.config.base import Section, execution


class DecontaminateSection(Section):
    """Documents that hold an item of an evaluation set are dropped, and the drop says which item and where."""

    rule: Literal["decontaminate"] = Field(..., description="the rule's name")
    against: tuple[str, ...] = execution(
        ..., min_length=1, description="evaluation sets: JSON-lines or Parquet files, folders or patterns"
    )
    ngram: int = Field(13, ge=5, le=100, description="so many words in a row that an item has too are a find")
    min_words: int = Field(9, ge=3, le=100, description="shorter items are not looked for; up to ngram, whole ones are")
    max_items: int = Field(0, ge=0, description="drop with more items")
