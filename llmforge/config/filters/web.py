"""Rules on web pages: where they come from, what they speak of, and lines that are no part of the text."""

from typing import Literal

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from llmforge.config.base import Section
from llmforge.config.filters.files import file_setting
from llmforge.config.filters.prose import Share

_UT1 = "the UT1 lists of the University of Toulouse, dsi.ut-capitole.fr/blacklists: a folder a category"
_WORDS = "the package datatrove carries RefinedWeb's: package:datatrove/assets/banned_words.txt"
_LDNOOBW = "github.com/LDNOOBW/List-of-Dirty-Naughty-Obscene-and-Otherwise-Bad-Words has one for each language"


class UrlListsSection(Section):
    """RefinedWeb's filter of addresses; lists are files of one entry a line, and at least one has to be named."""

    rule: Literal["url_lists"] = Field(..., description="the rule's name")
    domains: tuple[str, ...] = file_setting((), _UT1, "files: drop these domains and those below them")
    urls: tuple[str, ...] = file_setting((), _UT1, "files: drop these addresses and those below them")
    strict_words: tuple[str, ...] = file_setting(
        (), _WORDS, "files: drop addresses that contain one, even inside words"
    )
    hard_words: tuple[str, ...] = file_setting((), _WORDS, "files: drop addresses with one as a whole word")
    soft_words: tuple[str, ...] = file_setting((), _WORDS, "files: drop addresses with several as whole words")
    max_soft_words: int = Field(1, ge=0, description="drop addresses with more soft words")

    @model_validator(mode="after")
    def _names_a_list(self) -> "UrlListsSection":
        if not (self.domains or self.urls or self.strict_words or self.hard_words or self.soft_words):
            raise PydanticCustomError(
                "no_list", "url_lists names no list; give domains, urls, strict_words, hard_words or soft_words"
            )
        return self


class UrlsInTextSection(Section):
    """RefinedWeb's edit of text: addresses go, and so do empty lines beyond one."""

    rule: Literal["urls_in_text"] = Field(..., description="the rule's name")


class RefinedwebLinesSection(Section):
    """RefinedWeb's corrections line by line; a page that loses too much by them is dropped."""

    rule: Literal["refinedweb_lines"] = Field(..., description="the rule's name")
    max_uppercase: Share = Field(0.5, description="take out lines with a larger share of capital letters")
    max_digits: Share = Field(0.999999, description="take out lines with a larger share of digits")
    min_words: int = Field(2, ge=0, description="take out lines with fewer words")
    short_line_words: int = Field(10, ge=0, description="take phrases of navigation out of lines with at most so many")
    max_removed_words: Share = Field(0.05, description="drop pages that lose a larger share of their words")


class BadWordsSection(Section):
    """C4's list of bad words: one is too many."""

    rule: Literal["bad_words@c4"] = Field(..., description="name and variant")
    words: tuple[str, ...] = file_setting(..., _LDNOOBW, "files of one word or phrase a line", min_length=1)
    max_words: int = Field(0, ge=0, description="drop with more words of the list")


class FlaggedWordsSection(Section):
    """A word list as a measure of toxicity: a share of all words, as in Data-Juicer."""

    rule: Literal["bad_words@share"] = Field(..., description="name and variant")
    words: tuple[str, ...] = file_setting(..., _LDNOOBW, "files of one word or phrase a line", min_length=1)
    max_share: Share = Field(0.045, description="drop with a larger share of words of the list")
