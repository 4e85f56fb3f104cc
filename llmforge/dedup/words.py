"""Words: every word of a text as a hash of 64 bits, many documents at a time.

A word is a run of letters, marks and digits, compared without case; everything else only separates. In scripts
that put no spaces between words (Han, kana, Thai, Lao, Khmer, Burmese) each character is a word. Digits are kept
as they are: two tables with different numbers are different texts.

    text -> folded UTF-8, with a zero byte for each separator -> where words start and end
         -> the bytes of each word, eight at a time, mixed into its hash
"""

import unicodedata
from collections.abc import Iterator, Sequence
from functools import cache

import numpy as np
import xxhash
from numpy.typing import NDArray

U32 = NDArray[np.uint32]
U64 = NDArray[np.uint64]
I64 = NDArray[np.int64]

BLOCK_CHARS = 1 << 17
_ALONE = np.uint32(1 << 31)  # marks a character that is a word by itself
_TABULATED = 0x20000  # the planes above hold Han alone, tags and private use
UNSPACED = (  # scripts that put no spaces between words
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
_END = b"\x01"  # stands after each piece; no other control character is left by then
_LONG_BYTES = 32  # longer words are few, and are hashed one by one
_MASKS = np.array([(1 << (8 * size)) - 1 for size in range(9)], dtype=np.uint64)  # by the bytes of a word
_CHAIN = np.uint64(0x9E3779B97F4A7C15)


def hash_words(texts: Sequence[str]) -> tuple[U64, I64]:
    """Hash every word of each text; no hash is 0.

    Returns: the hashes of all words in order, and the bounds of each text among them.
    """
    owners, pieces = _cut(texts)
    hashes, counts = [np.empty(0, dtype=np.uint64)], np.zeros(len(texts), dtype=np.int64)
    for first, last in _blocks(pieces):
        block_hashes, block_counts = _hash_block(pieces[first:last])
        hashes.append(block_hashes)
        np.add.at(counts, owners[first:last], block_counts)
    return np.concatenate(hashes), np.concatenate([[0], np.cumsum(counts)])


def mix(values: U64) -> U64:
    """Spread every bit of a value over all 64: the finalizer of MurmurHash3, a bijection."""
    values = values ^ (values >> np.uint64(33))
    values *= np.uint64(0xFF51AFD7ED558CCD)
    values ^= values >> np.uint64(33)
    values *= np.uint64(0xC4CEB9FE1A85EC53)
    values ^= values >> np.uint64(33)
    return values


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


def _hash_block(pieces: Sequence[str]) -> tuple[U64, I64]:
    """Hashes of the words of some pieces, and how many each piece has."""
    folded = _END + _END.join(_fold(pieces)) + _END
    chars = np.frombuffer(folded, dtype=np.uint8)
    is_word = chars > _END[0]
    edges = np.flatnonzero(is_word[1:] != is_word[:-1]) + 1  # a word starts at every second, and ends at the next
    starts, ends = edges[::2], edges[1::2]
    counts = np.diff(np.searchsorted(starts, np.flatnonzero(chars == _END[0])))
    return _hash_spans(folded, starts, ends), counts


def _fold(pieces: Sequence[str]) -> Iterator[bytes]:
    """Each piece in lower case and UTF-8, a zero byte for every separator."""
    others = iter(_fold_unicode([piece for piece in pieces if not piece.isascii()]))
    for piece in pieces:
        yield piece.encode().translate(_ascii_table()) if piece.isascii() else next(others)


def _fold_unicode(pieces: Sequence[str]) -> list[bytes]:
    if not pieces:
        return []
    code_points = np.frombuffer("\n".join(pieces).encode("utf-32-le", "surrogatepass"), dtype="<u4")
    chars = _table().take(code_points)
    chars[np.cumsum([len(piece) + 1 for piece in pieces[:-1]], dtype=np.int64) - 1] = _END[0]
    alone = np.flatnonzero(chars >= _ALONE)
    if len(alone):
        chars[alone] &= ~_ALONE
        chars = np.insert(chars, np.concatenate([alone, alone + 1]), 0)
    return chars.tobytes().decode("utf-32-le").encode().split(_END)


def _hash_spans(folded: bytes, starts: I64, ends: I64) -> U64:
    """A hash of the bytes of each word: eight at a time, those of a long word at once."""
    padded = folded + bytes(_LONG_BYTES)
    windows = np.ndarray(len(folded), dtype="<u8", buffer=padded, strides=(1,))
    lengths = ends - starts
    hashes = mix(windows[starts] & _MASKS.take(lengths, mode="clip"))
    for offset in range(8, _LONG_BYTES, 8):
        more = np.flatnonzero(lengths > offset)
        part = windows[starts[more] + offset] & _MASKS.take(lengths[more] - offset, mode="clip")
        hashes[more] = mix(hashes[more] * _CHAIN + part)
    for word in np.flatnonzero(lengths > _LONG_BYTES).tolist():
        hashes[word] = xxhash.xxh3_64_intdigest(folded[starts[word] : ends[word]])
    return hashes | np.uint64(1)


@cache
def _ascii_table() -> bytes:
    return bytes(_table()[:128].astype(np.uint8)) + bytes(128)


@cache
def _table() -> U32:
    """By code point: 0 for a separator, or the code point in lower case, marked where it is a word by itself."""
    chars = [chr(code) for code in range(_TABULATED)]
    lower = [low if len(low := char.lower()) == 1 else char for char in chars]
    table = np.zeros(0x110000, dtype=np.uint32)
    table[:_TABULATED] = np.frombuffer("".join(lower).encode("utf-32-le", "surrogatepass"), dtype="<u4")
    table[:_TABULATED] *= np.array([unicodedata.category(char)[0] in "LMN" for char in chars])
    for first, last in UNSPACED:
        codes = np.arange(first, last + 1, dtype=np.uint32)
        words = codes if first >= _TABULATED else codes[table[codes] != 0]
        table[words] = words | _ALONE
    return table
