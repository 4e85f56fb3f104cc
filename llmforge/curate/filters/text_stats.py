"""What several rules need to know of a text, each found once and when first asked for."""

import re
from functools import cached_property, lru_cache
from typing import Any

_PLAIN_WORD = re.compile(r"\w+(?:['\u2019.]\w+)*")
# As spaCy's English rules cut, whose tokens datatrove counts: marks around a word one by one (runs of stops and dashes
# are one), a mark inside it where letters stand on both sides, and contractions. `3,000` and `a.b` stay whole.
_PIECE = re.compile(r"\.\.+|--+|[^\w\s]|\w(?:\S*\w)?")
_INSIDE = re.compile(r"((?<=[^\W\d_])[-/:<>=,~\u2013\u2014](?=[^\W\d_])|(?<=\w)(?:n't|['\u2019](?:s|re|ve|ll|d|m))$)")
_MAX_KEPT_CHARS = 32
_PARAGRAPH_END = re.compile(r"\n{2,}")


class TextStats:
    """A document's text and its parts; the parts are made on demand and shared by the rules that judge it.

    `meta` is the document's own, in which a rule may note what it found (a language, a score).
    """

    def __init__(self, text: str, url: str = "", meta: dict[str, Any] | None = None) -> None:
        self.text = text
        self.url = url
        self.meta = {} if meta is None else meta

    @property
    def programming_language(self) -> str:
        """The language of code in small letters, as the reader or the data set names it; empty if none does."""
        return str(self.meta.get("language") or self.meta.get("lang") or "").lower()

    @cached_property
    def lowered(self) -> str:
        """The text in small letters."""
        return self.text.lower()

    @cached_property
    def words(self) -> list[str]:
        """What white space separates."""
        return self.text.split()

    @cached_property
    def plain_words(self) -> list[str]:
        """Words without the punctuation around them; a stop or an apostrophe inside a word stays."""
        return _split(self.words, _PLAIN_WORD)

    @cached_property
    def tokens(self) -> list[str]:
        """Words and marks, cut nearly as spaCy cuts English; no token spans white space."""
        tokens: list[str] = []
        for word in self.words:
            if word.isalnum():
                tokens.append(word)
            else:
                tokens += _cut_again(word) if len(word) <= _MAX_KEPT_CHARS else _cut(word)
        return tokens

    @cached_property
    def lines(self) -> list[str]:
        """Lines that hold something, without the space around them."""
        return [line for line in map(str.strip, self.text.split("\n")) if line]

    @cached_property
    def paragraphs(self) -> list[str]:
        """What empty lines separate, without the space around it."""
        return [part for part in map(str.strip, _PARAGRAPH_END.split(self.text)) if part]


def _cut(word: str) -> tuple[str, ...]:
    """The tokens of a word that is not of letters and digits alone."""
    tokens: list[str] = []
    for piece in _PIECE.findall(word):
        if len(piece) == 1 or piece.isalnum():
            tokens.append(piece)
        else:
            tokens += filter(None, _INSIDE.split(piece))
    return tuple(tokens)


_cut_again = lru_cache(1 << 16)(_cut)
"""The same for words of usual length, of which those that a mark follows come again and again."""


def _split(words: list[str], part: re.Pattern[str]) -> list[str]:
    """The parts of every word; no part spans white space, and a word of letters and digits is its own only part."""
    parts: list[str] = []
    for word in words:
        if word.isalnum():
            parts.append(word)
        else:
            parts += part.findall(word)
    return parts
