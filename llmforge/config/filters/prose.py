"""Rules on prose: quality and repetition (Gopher), sentences (C4, mC4), and FineWeb's own."""

from typing import Annotated, Literal

from pydantic import Field

from llmforge.config.base import Section

Share = Annotated[float, Field(ge=0, le=1)]


class GopherQualitySection(Section):
    """Quality heuristics of MassiveText, for prose; the limits are those of the paper.

    Plain, it reads the paper as written; @datatrove counts punctuation marks as words without a letter.
    """

    rule: Literal["gopher_quality", "gopher_quality@datatrove"] = Field(
        ..., description="name, with variant or without"
    )
    min_words: int = Field(50, ge=0, description="drop with fewer words")
    max_words: int = Field(100_000, ge=1, description="drop with more words")
    min_mean_word_length: float = Field(3.0, ge=0, description="drop below (characters)")
    max_mean_word_length: float = Field(10.0, gt=0, description="drop above (characters)")
    max_hash_ratio: float = Field(0.1, ge=0, description="drop with more # a word")
    max_ellipsis_ratio: float = Field(0.1, ge=0, description="drop with more ellipses a word")
    max_bullet_lines: float = Field(0.9, ge=0, le=1, description="drop with a larger share of bulleted lines")
    max_ellipsis_lines: float = Field(0.3, ge=0, le=1, description="drop with a larger share of lines ending in one")
    min_alphabetic_words: float = Field(0.8, ge=0, le=1, description="drop with a smaller share of words with a letter")
    min_stop_words: int = Field(2, ge=0, le=8, description="drop with fewer different English stop words")


class GopherRepetitionSection(Section):
    """Repetition in a text, by MassiveText; the limits are those of the paper, past which a text is dropped.

    @dclm reads the paper as written (every copy counts, each character once); @datatrove counts later copies only.
    """

    rule: Literal["gopher_repetition@dclm", "gopher_repetition@datatrove"] = Field(..., description="name and variant")
    max_duplicate_lines: Share = Field(0.30, description="share of lines that are duplicates")
    max_duplicate_paragraphs: Share = Field(0.30, description="share of paragraphs that are duplicates")
    max_duplicate_line_chars: Share = Field(0.20, description="share of characters in them")
    max_duplicate_paragraph_chars: Share = Field(0.20, description="share of characters in them")
    max_top_2gram: Share = Field(0.20, description="share of characters in the most frequent pair of words")
    max_top_3gram: Share = Field(0.18, description="the same for 3 words")
    max_top_4gram: Share = Field(0.16, description="the same for 4 words")
    max_duplicate_5gram: Share = Field(0.15, description="share of characters in repeated runs of 5 words")
    max_duplicate_6gram: Share = Field(0.14, description="the same for 6 words")
    max_duplicate_7gram: Share = Field(0.13, description="the same for 7 words")
    max_duplicate_8gram: Share = Field(0.12, description="the same for 8 words")
    max_duplicate_9gram: Share = Field(0.11, description="the same for 9 words")
    max_duplicate_10gram: Share = Field(0.10, description="the same for 10 words")


class C4PaperSection(Section):
    """C4's line and page rules, with the limits that the paper states."""

    rule: Literal["c4@paper"] = Field(..., description="name and variant")
    min_words_per_line: int = Field(3, ge=0, description="take out lines with fewer words")
    min_sentences: int = Field(5, ge=1, description="drop pages with fewer sentences left")
    max_word_length: int = Field(1000, ge=1, description="take out lines with a longer word (characters)")
    terminal_punctuation: bool = Field(True, description='take out lines that end in none of . ? ! " or in ...')


class C4CodeSection(C4PaperSection):
    """C4's line and page rules, with the limits of the code that made it."""

    rule: Literal["c4@code"] = Field(..., description="name and variant")  # type: ignore[assignment]
    min_words_per_line: int = Field(5, ge=0, description="take out lines with fewer words")
    min_sentences: int = Field(3, ge=1, description="drop pages with fewer sentences left")


C4Section = C4PaperSection | C4CodeSection


class FinewebPaperSection(Section):
    """FineWeb's own filters as its paper states them: a value at its limit is dropped."""

    rule: Literal["fineweb@paper"] = Field(..., description="name and variant")
    min_punctuated_lines: Share = Field(0.12, description="drop with at most this share of lines ending in . ? ! \" '")
    max_short_lines: Share = Field(0.67, description="drop with at least this share of short lines")
    short_line_chars: int = Field(30, ge=0, description="a line of at most so many characters is short")
    max_duplicate_line_chars: Share = Field(0.1, description="drop with at least this share in copies of lines")


class FinewebCodeSection(Section):
    """FineWeb's own filters as the code that made it has them: a value at its limit is kept."""

    rule: Literal["fineweb@code"] = Field(..., description="name and variant")
    min_punctuated_lines: Share = Field(0.12, description="drop with a smaller share of lines ending in . ? ! \" '")
    max_short_lines: Share = Field(0.67, description="drop with a larger share of short lines")
    short_line_chars: int = Field(30, ge=0, description="a line of at most so many characters is short")
    max_duplicate_line_chars: Share = Field(0.01, description="drop with a larger share in copies of lines")
    max_line_ends_per_word: float = Field(0.3, ge=0, description="drop with more line ends a word")


class Mc4Section(Section):
    """mC4's rule for pages of any language."""

    rule: Literal["mc4"] = Field(..., description="the rule's name")
    min_long_lines: int = Field(3, ge=0, description="drop with fewer long lines")
    long_line_chars: int = Field(200, ge=1, description="a line of at least so many characters is long")


class QualityScoresSection(Section):
    """Scores that need no model; each is noted in the document, and none is limited unless the settings say so.

    The limits that are set are Data-Juicer's defaults.
    """

    rule: Literal["quality_scores"] = Field(..., description="the rule's name")
    min_alphanumeric: Share = Field(0.25, description="drop with a smaller share of letters and digits")
    max_special: Share = Field(0.25, description="drop with a larger share of neither letters, digits nor space")
    max_word_repetition: Share = Field(0.5, description="drop with a larger share of 10-word runs that occur again")
    min_compression: float = Field(0.0, ge=0, description="drop below this ratio of deflated to plain size (bytes)")
    min_entropy: float = Field(0.0, ge=0, description="drop below this entropy of the words (bits a word)")
