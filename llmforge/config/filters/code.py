"""Rules on source code (The Stack, StarCoder) and on mathematics (MathPile)."""

from typing import Literal

from pydantic import Field

from llmforge.config.base import Section
from llmforge.config.filters.prose import Share


class StackV1Section(Section):
    """The filters of The Stack v1 as StarCoder used them."""

    rule: Literal["stack@v1"] = Field(..., description="name and variant")
    max_line_chars: int = Field(1000, ge=1, description="drop with a longer line")
    max_mean_line_chars: float = Field(100.0, gt=0, description="drop with longer lines on average")
    min_alphanumeric: Share = Field(0.25, description="drop with a smaller share of letters and digits")
    min_data_chars: int = Field(100, ge=0, description="drop shorter JSON and YAML files")
    max_data_chars: int = Field(5000, ge=1, description="drop longer JSON and YAML files")
    min_html_text: Share = Field(0.2, description="drop HTML with a smaller share of visible text")
    min_html_chars: int = Field(100, ge=0, description="drop HTML with less visible text (characters)")


class StackV2Section(Section):
    """The filters of The Stack v2 (StarCoder2)."""

    rule: Literal["stack@v2"] = Field(..., description="name and variant")
    max_lines: int = Field(100_000, ge=1, description="drop with more lines")
    max_line_chars: int = Field(1000, ge=1, description="drop with a longer line")
    max_mean_line_chars: float = Field(100.0, gt=0, description="drop with longer lines on average")
    max_markup_line_chars: int = Field(100_000, ge=1, description="the same for markup and data, with no mean")
    min_alphabetic: Share = Field(0.25, description="drop with a smaller share of letters")
    max_encoded_chars: int = Field(1024, ge=0, description="drop with a longer run of encoded data")
    max_encoded: Share = Field(0.5, description="drop with a larger share of encoded data")
    max_data_lines: int = Field(512, ge=1, description="drop JSON, YAML, text and graphs with more lines")
    min_html_text: Share = Field(0.2, description="drop HTML with a smaller share of visible text")
    min_html_chars: int = Field(100, ge=0, description="drop HTML with less visible text (characters)")


class LicenseSection(Section):
    """Keep code under licences that allow it; the permissive ones of The Stack unless the settings say otherwise."""

    rule: Literal["license"] = Field(..., description="the rule's name")
    keep: tuple[str, ...] = Field(
        (
            *("MIT", "Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "ISC", "Unlicense", "CC0-1.0", "Zlib", "0BSD"),
            *("BSL-1.0", "MIT-0", "PSF-2.0", "Python-2.0", "Artistic-2.0", "CC-BY-4.0", "WTFPL", "PostgreSQL"),
        ),
        description="SPDX identifiers to keep",
    )
    unknown: Literal["keep", "drop"] = Field("drop", description="what happens to code that names no licence")


class MathpileSection(Section):
    """MathPile's rules, for mathematics in LaTeX, Markdown or plain text."""

    rule: Literal["mathpile"] = Field(..., description="the rule's name")
    max_uppercase_words: Share = Field(0.4, description="drop with a larger share of words in capitals")
    max_ellipsis_lines: Share = Field(0.3, description="drop with a larger share of lines ending in an ellipsis")
    max_nonalphabetic_words: Share = Field(0.8, description="drop with a larger share of words without a letter")
    min_mean_word_length: float = Field(3.0, ge=0, description="drop below (characters, words of letters)")
    max_mean_word_length: float = Field(10.0, gt=0, description="drop above (characters, words of letters)")
    min_stop_words: int = Field(2, ge=0, description="drop with fewer English stop words, each occurrence counted")
    max_ellipsis_ratio: float = Field(0.5, ge=0, description="drop with more ellipses a word")
    max_bullet_lines: Share = Field(0.9, description="drop with a larger share of bulleted lines")
    min_chars: int = Field(200, ge=0, description="drop with fewer characters that are neither space nor punctuation")
