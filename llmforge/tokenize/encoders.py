"""Faster encoders than the reference, each used only after it proved to give the same ids.

    tiktoken     byte-level BPE with one of the named patterns; about four times as fast in one thread
    tokenizers   the reference: every kind

The choice changes no byte of the store; it is recorded in the manifest.
"""

import json
from collections.abc import Callable, Sequence
from importlib import metadata
from typing import Any

import numpy as np
from numpy.typing import NDArray

from llmforge.core.errors import LlmforgeError
from llmforge.tokenize.algorithms import split_into_bytes
from llmforge.tokenize.patterns import SPLIT_PATTERNS
from llmforge.tokenize.tokenizer import Tokenizer

EncodeBatch = Callable[[Sequence[str]], list[NDArray[np.uint32]]]
REFERENCE = "tokenizers"

# Scripts, digits and blanks on which regular-expression engines are known to differ, and control tokens as text.
_HARD_STRINGS = (
    "", " ", "\n", "\r\n \n", " \u00a0\u3000\u2003 a", "a\u2028b\u2029c\x85d", "Ⅷ ⅷ ² ½ ٣٤ 一二 𝟘𝟙",
    "I'M don't DON'T ſ's 'ſ", "e\u0301\u0302 ﬁ ĳ", "नमस्ते ज़्यादा ภาษาไทย", "שָׁלוֹם مَرْحَبًا", "カタカナ 한국어",
    "😀\u200d🏳\ufe0f🇩🇪", "\u200b\u2060\ufeff\u202e", "a\0b\x01\x7f", "<|endoftext|><s></s>", "x" * 3000,
    " " * 3000, "ab" * 1500, "1" * 1000, "\U0010ffff\ufffd𒀀𐍈",
)  # fmt: skip


class NotSuitableError(LlmforgeError):
    """An encoder cannot be used for this tokenizer; the message says why."""


def choose_encoder(tokenizer: Tokenizer, sample: Sequence[str]) -> tuple[str, str]:
    """The fastest encoder that gives the reference's ids on hard strings and on a sample of the corpus.

    Args:
        tokenizer: the reference.
        sample: texts of this corpus.
    Returns: the encoder's name, and the reason for the choice.
    """
    try:
        encode = make_tiktoken(tokenizer)
    except NotSuitableError as error:
        return REFERENCE, error.what
    texts = [*_HARD_STRINGS, *sample]
    for text, ours, theirs in zip(texts, tokenizer.encode_batch(texts), encode(texts), strict=True):
        if not np.array_equal(ours, theirs):
            return REFERENCE, f"tiktoken gives other ids for {text[:40]!r}"
    version = metadata.version("tiktoken")
    return "tiktoken", f"version {version} gave the same ids on {len(texts)} texts, hard ones and the corpus's own"


def make_encoder(name: str, tokenizer: Tokenizer) -> EncodeBatch:
    """The encoder that was chosen, or the reference where it cannot be made any more."""
    if name == REFERENCE:
        return tokenizer.encode_batch
    try:
        return make_tiktoken(tokenizer)
    except NotSuitableError:
        return tokenizer.encode_batch


def make_tiktoken(tokenizer: Tokenizer) -> EncodeBatch:
    """The tokenizer's merges in tiktoken.

    tiktoken orders merges by the joined token and takes a piece that is a token at once, where the reference follows
    its list of merges: the two agree if every token has one merge and comes out whole of its own bytes.

    Raises: NotSuitableError if tiktoken is not installed, or the tokenizer is not of that kind.
    """
    try:
        import tiktoken
    except ImportError as error:
        raise NotSuitableError('tiktoken is not installed (pip install "llmforge[fast]")') from error
    description = json.loads(tokenizer.to_json())
    pattern = _named_pattern(description)
    model = description["model"]
    joined = [left + right for left, right in _pairs(model["merges"])]
    if len(set(joined)) != len(joined):
        raise NotSuitableError("a token of this vocabulary has several merges, which tiktoken cannot tell apart")
    order = [model["vocab"][token] for token in joined]
    if order != sorted(order) or not tokenizer.has_whole_tokens():
        raise NotSuitableError("the order of the merges is not that of the ids, by which tiktoken merges")
    ranks = {piece: token for token, piece in enumerate(tokenizer.token_bytes()) if piece}
    encoding = tiktoken.Encoding("llmforge", pat_str=pattern, mergeable_ranks=ranks, special_tokens={})

    def encode_one(text: str) -> NDArray[np.uint32]:
        try:
            return encoding.encode_to_numpy(text, disallowed_special=())
        except BaseException as error:  # its stack may overflow on a run of a million blanks
            if not isinstance(error, ValueError) and type(error).__name__ != "PanicException":
                raise
            return tokenizer.encode(text)

    return lambda texts: [encode_one(text) for text in texts]


def _named_pattern(description: dict[str, Any]) -> str:
    """The pattern of a byte-level BPE tokenizer that has nothing but a named pattern before it."""
    is_plain = description["model"]["type"] == "BPE" and description["normalizer"] is None
    for name, pattern in SPLIT_PATTERNS.items():
        if is_plain and description["pre_tokenizer"] == json.loads(split_into_bytes(name).__getstate__()):
            return pattern
    raise NotSuitableError("it is no byte-level BPE with a pattern by name, the only kind that tiktoken knows")


def _pairs(merges: list[Any]) -> list[tuple[str, str]]:
    """Merges as pairs; older files write them as one string."""
    pairs = (merge.split(" ") if isinstance(merge, str) else merge for merge in merges)
    return [(left, right) for left, right in pairs]
