"""How well a tokenizer writes a text: figures that can be compared between kinds and vocabulary sizes."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from llmforge.tokenize.tokenizer import UNKNOWN_TOKENS, Tokenizer

# Source: Zouhar et al. 2023, section 5: the order at which the efficiency follows translation quality best.
_RENYI_ORDER = 2.5
_BATCH_DOCUMENTS = 64
_LONG_CHARS = 500
# Every byte of UTF-8 as a blank or as a letter; the blanks that are no ASCII are made blanks before.
_BLANK_OR_LETTER = bytes(ord(" " if chr(byte).isspace() and byte < 128 else "x") for byte in range(256))
_OTHER_BLANKS = "\x85\xa0\u1680" + "".join(map(chr, range(0x2000, 0x200B))) + "\u2028\u2029\u202f\u205f\u3000"


@dataclass(frozen=True)
class Scores:
    """What a tokenizer does to a text.

    Attributes:
        round_trip: share of the documents that come back exactly (0 to 1). Read it first: what is thrown away
            costs no tokens.
        bytes_per_token: UTF-8 bytes of the text for each token.
        tokens_per_word: fertility, with words between blanks; without meaning for scripts that write none.
        unknown_rate: share of the tokens that say "unknown" (0 to 1).
        renyi: Renyi efficiency of order 2.5, the evenness with which tokens are used (0 to 1).
        dead: share of the vocabulary that the text never needs (0 to 1).
        mb_per_s: speed of encoding (MB of text a second of processor time).
        by_group: bytes per token of each group of documents.
    """

    round_trip: float
    bytes_per_token: float
    tokens_per_word: float
    unknown_rate: float
    renyi: float
    dead: float
    mb_per_s: float
    by_group: dict[str, float]


def score(tokenizer: Tokenizer, groups: Mapping[str, Sequence[str]]) -> Scores:
    """Encode and decode every text of every group.

    Args:
        tokenizer: any kind.
        groups: texts by source (or language); not empty, and none that the tokenizer was trained on.
    """
    uses = np.zeros(tokenizer.vocab_size, np.int64)
    by_group: dict[str, float] = {}
    exact = documents = words = num_bytes = 0
    seconds = 0.0
    for name, texts in groups.items():
        before, group_bytes = uses.sum(), 0
        for start in range(0, len(texts), _BATCH_DOCUMENTS):
            batch = texts[start : start + _BATCH_DOCUMENTS]
            begun = time.process_time()
            encoded = tokenizer.encode_batch(batch)
            seconds += time.process_time() - begun
            for text, ids in zip(batch, encoded, strict=True):
                uses += np.bincount(ids, minlength=len(uses))
                exact += tokenizer.decode(ids) == text
                words += count_words(text)
                group_bytes += len(text.encode())
        documents += len(texts)
        num_bytes += group_bytes
        by_group[name] = group_bytes / max(1, int(uses.sum() - before))
    tokens = max(1, int(uses.sum()))
    unknown = [token for name in UNKNOWN_TOKENS if (token := tokenizer.token_id(name)) is not None]
    return Scores(
        round_trip=exact / max(1, documents),
        bytes_per_token=num_bytes / tokens,
        tokens_per_word=tokens / max(1, words),
        unknown_rate=int(uses[unknown].sum()) / tokens,
        renyi=renyi_efficiency(uses),
        dead=float(np.count_nonzero(np.delete(uses, tokenizer.eos_id) == 0)) / max(1, len(uses) - 1),
        mb_per_s=num_bytes / 1e6 / max(seconds, 1e-9),
        by_group=by_group,
    )


def count_words(text: str) -> int:
    """Words between blanks, as many as `str.split` finds; in a long text over the bytes, several times as fast."""
    if len(text) < _LONG_CHARS:
        return len(text.split())
    if not text.isascii():
        for blank in _OTHER_BLANKS:
            text = text.replace(blank, " ")  # the same object where there is none
    kinds = np.frombuffer((b" " + text.encode()).translate(_BLANK_OR_LETTER), np.uint8)
    return int(np.count_nonzero(kinds[1:] > kinds[:-1]))


def renyi_efficiency(uses: np.ndarray) -> float:
    """Renyi entropy of the token frequencies, as a share of that of an even use of all tokens (0 to 1).

    Args:
        uses: how often each token of the vocabulary occurs (counts).
    Source: Zouhar et al. 2023, equation 13; log(sum p^a) / (1 - a), over log of the vocabulary size.
    """
    if len(uses) < 2 or not uses.sum():
        return 0.0
    shares = uses[uses > 0] / uses.sum()
    entropy = np.log2((shares**_RENYI_ORDER).sum()) / (1 - _RENYI_ORDER)
    return float(entropy / np.log2(len(uses)))
