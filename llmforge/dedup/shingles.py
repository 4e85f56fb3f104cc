"""Shingles: a text as the set of its runs of n words, each run a hash of 64 bits.

A word is a run of letters, marks and digits, compared without case; everything else only separates. In scripts
that put no spaces between words (Han, kana, Thai, Lao, Khmer, Burmese) each character is a word. Digits are kept
as they are: two tables with different numbers are different texts.

All of it is done on arrays of code points, many documents at a time:

    code points -> one table look-up -> folded code point, or 0 for a separator
                -> polynomial hash of each word -> multilinear hash of each run of n words
"""

import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

U64 = NDArray[np.uint64]

BLOCK_CHARS = 1 << 17
_ALONE = np.uint32(1 << 31)  # marks a character that is a word by itself
_TABULATED = 0x20000  # the planes above hold Han alone, tags and private use
_UNSPACED = (
    (0x0E00, 0x0EFF),  # Thai, Lao
    (0x1000, 0x109F),  # Burmese
    (0x1780, 0x17FF),  # Khmer
    (0x3005, 0x3007),
    (0x3040, 0x30FF),  # kana
    (0x31F0, 0x31FF),
    (0x3400, 0x4DBF),  # Han
    (0x4E00, 0x9FFF),
    (0xF900, 0xFAFF),
    (0xFF66, 0xFF9D),
    (0x20000, 0x3FFFF),
)
_BASE = 0x9E3779B97F4A7C15  # odd, so that it has an inverse modulo 2**64


@dataclass(frozen=True)
class Shingles:
    """Shingle hashes of several documents, one after the other.

    `hashes` holds all of them in the order of the text, repeats included; document i owns
    `hashes[bounds[i]:bounds[i + 1]]`, which is empty if it has no word.
    """

    hashes: U64
    bounds: NDArray[np.int64]

    def unique(self, document: int) -> U64:
        """The shingle set of one document, sorted."""
        hashes = np.sort(self.hashes[self.bounds[document] : self.bounds[document + 1]])
        is_new = np.ones(len(hashes), dtype=bool)
        is_new[1:] = hashes[1:] != hashes[:-1]
        return hashes[is_new]


def shingle(texts: Sequence[str], ngram_words: int) -> Shingles:
    """Hash every run of `ngram_words` words of each text.

    Args:
        texts: documents in Unicode normal form C.
        ngram_words: words in a shingle (count). A text with fewer words is one shingle: all of its words.
    """
    words, bounds = hash_words(texts)
    counts = np.diff(bounds)
    num_shingles = np.where(counts >= ngram_words, counts - ngram_words + 1, np.minimum(counts, 1))
    ends = np.cumsum(num_shingles)
    # Where each shingle starts among the words: a run of consecutive words per document.
    starts = np.arange(num_shingles.sum()) + np.repeat(bounds[:-1] - (ends - num_shingles), num_shingles)
    hashes = np.zeros(len(starts), dtype=np.uint64)
    last = np.repeat(bounds[1:], num_shingles)
    for place, factor in enumerate(_factors(ngram_words)):
        index = starts + place
        # Beyond the end of a short text the shingle has no word; hashes of words are never 0.
        hashes += np.where(index < last, words.take(index, mode="clip"), np.uint64(0)) * factor
    return Shingles(mix(hashes), np.concatenate([[0], ends]).astype(np.int64))


def hash_words(texts: Sequence[str]) -> tuple[U64, NDArray[np.int64]]:
    """Hash every word of each text.

    Returns: the hashes of all words in order, and the bounds of each text among them.
    """
    owners, pieces = _cut(texts)
    hashes, counts = [], np.zeros(len(texts), dtype=np.int64)
    for first, last in _blocks(pieces):
        block_hashes, block_counts = _hash_block(pieces[first:last])
        hashes.append(block_hashes)
        np.add.at(counts, owners[first:last], block_counts)
    bounds = np.concatenate([[0], np.cumsum(counts)])
    return np.concatenate([np.empty(0, dtype=np.uint64), *hashes]), bounds


def mix(values: U64) -> U64:
    """Spread every bit of a value over all 64: the finalizer of MurmurHash3, a bijection."""
    values = (values ^ (values >> np.uint64(33))) * np.uint64(0xFF51AFD7ED558CCD)
    values = (values ^ (values >> np.uint64(33))) * np.uint64(0xC4CEB9FE1A85EC53)
    return values ^ (values >> np.uint64(33))


def _cut(texts: Sequence[str]) -> tuple[list[int], list[str]]:
    """Texts in pieces that fit a block, cut after a space; a longer run without one is cut where the block ends."""
    owners: list[int] = []
    pieces: list[str] = []
    for owner, text in enumerate(texts):
        start = 0
        while start < len(text):
            end = start + BLOCK_CHARS - 1
            if end < len(text):
                end = text.rfind(" ", start, end) + 1 or end
            pieces.append(text[start:end])
            owners.append(owner)
            start = end
    return owners, pieces


def _blocks(pieces: Sequence[str]) -> Iterator[tuple[int, int]]:
    """Ranges of pieces that together, with a separator after each, fit a block."""
    first, num_chars = 0, 0
    for place, piece in enumerate(pieces):
        if num_chars + len(piece) + 1 > BLOCK_CHARS:
            yield first, place
            first, num_chars = place, 0
        num_chars += len(piece) + 1
    if pieces:
        yield first, len(pieces)


def _hash_block(pieces: Sequence[str]) -> tuple[U64, NDArray[np.int64]]:
    """Hashes of the words of some pieces, and how many each piece has."""
    code_points = np.frombuffer("\n".join(pieces).encode("utf-32-le", "surrogatepass"), dtype="<u4")
    chars = _folded().take(code_points)
    is_word, is_alone = chars != 0, chars >= _ALONE
    is_start = is_word.copy()
    is_start[1:] &= ~is_word[:-1] | is_alone[1:] | is_alone[:-1]
    starts = np.flatnonzero(is_start)
    lengths = np.fromiter(map(len, pieces), dtype=np.int64, count=len(pieces)) + 1
    if len(starts) == 0:
        return np.empty(0, dtype=np.uint64), np.zeros(len(pieces), dtype=np.int64)
    powers, inverses = _powers()
    # A separator adds 0, so the sum from one start to the next is the word's alone; the inverse power takes out
    # where in the block the word stands. The low bit keeps a word from hashing to 0.
    sums = np.add.reduceat(chars.astype(np.uint64) * powers[: len(chars)], starts)
    hashes = mix(sums * inverses[starts]) | np.uint64(1)
    ends = np.searchsorted(starts, np.cumsum(lengths))
    return hashes, np.diff(ends, prepend=0)


@cache
def _folded() -> NDArray[np.uint32]:
    """By code point: 0 for a separator, or the code point in lower case, marked where it is a word by itself."""
    table = np.zeros(0x110000, dtype=np.uint32)
    for code in range(_TABULATED):
        char = chr(code)
        if unicodedata.category(char)[0] in "LMN":
            lower = char.lower()
            table[code] = ord(lower) if len(lower) == 1 else code
    for first, last in _UNSPACED:
        codes = np.arange(first, last + 1)
        words = codes if first >= _TABULATED else codes[table[codes] != 0]
        table[words] = words.astype(np.uint32) | _ALONE
    return table


@cache
def _powers() -> tuple[U64, U64]:
    """Powers of the base and of its inverse, modulo 2**64, by place in a block."""
    inverse = pow(_BASE, -1, 1 << 64)
    tables = []
    for base in (_BASE, inverse):
        factors = np.full(BLOCK_CHARS, base, dtype=np.uint64)
        factors[0] = 1
        tables.append(np.cumprod(factors, dtype=np.uint64))
    return tables[0], tables[1]


@cache
def _factors(ngram_words: int) -> U64:
    """Odd factors, one for each place in a shingle."""
    return mix(np.arange(1, ngram_words + 1, dtype=np.uint64)) | np.uint64(1)
