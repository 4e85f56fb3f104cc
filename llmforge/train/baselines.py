"""Two honest baselines for bits per byte: what token frequencies alone, and what gzip, make of the same text."""

import math
import zlib
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from llmforge.tokenize.token_store import TokenStore
from llmforge.tokenize.tokenizer import Tokenizer

_CHUNK_TOKENS = 1 << 22
# The gzip file format adds a header of 10 bytes and a trailer of 8 to a raw deflate stream.
_GZIP_FRAME_BYTES = 18


def unigram_bits_per_byte(train: TokenStore, val: TokenStore) -> float:
    """Cost of the validation tokens under the training tokens' frequencies, one added to each count.

    Every token of the split costs, end-of-document tokens too, as they do for the model.
    """
    counts = count_tokens(train) + 1
    bits = math.log2(counts.sum()) - np.log2(counts)
    return float((count_tokens(val) * bits).sum() / val.num_bytes)


def count_tokens(store: TokenStore) -> NDArray[np.int64]:
    """How often each token occurs in a split, counted in bounded memory."""
    counts = np.zeros(store.vocab_size, dtype=np.int64)
    for number, shard in enumerate(store.shards):
        for start in range(0, shard.num_tokens, _CHUNK_TOKENS):
            length = min(_CHUNK_TOKENS, shard.num_tokens - start)
            counts += np.bincount(store.read(number, start, length), minlength=store.vocab_size)
    return counts


def gzip_bits_per_byte(texts: Iterator[bytes]) -> float:
    """Size of each document after gzip -9 by itself, against its size."""
    before = after = 0
    for text in texts:
        deflate = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
        before += len(text)
        after += len(deflate.compress(text)) + len(deflate.flush()) + _GZIP_FRAME_BYTES
    return 8 * after / before if before else math.nan


def document_texts(store: TokenStore, tokenizer: Tokenizer) -> Iterator[bytes]:
    """The documents of a split, decoded from their tokens; byte-level BPE loses nothing."""
    for number in range(len(store.shards)):
        begin = 0
        for end in store.ends(number).tolist():
            yield tokenizer.decode(store.read(number, begin, end - begin - 1)).encode()
            begin = end
