"""Faster encoders than the reference, each used only after it proved to give the same ids on this corpus.

    gigatoken    byte-level BPE with a pattern that it knows; tens of times as fast in one thread
    tiktoken     byte-level BPE with one of the named patterns; a few times as fast
    tokenizers   the reference: every kind

The first one that proves itself is taken. The choice changes no byte of the store; it is recorded in the manifest.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import metadata
from typing import Any

import numpy as np
from numpy.typing import NDArray

from llmforge.core import log
from llmforge.core.errors import LlmforgeError
from llmforge.tokenize.algorithms import split_into_bytes
from llmforge.tokenize.patterns import SPLIT_PATTERNS
from llmforge.tokenize.tokenizer import Tokenizer

EncodeBatch = Callable[[Sequence[str]], list[NDArray[np.uint32]]]
REFERENCE = "tokenizers"
_INSTALL = 'pip install "llmforge[fast]"'

# The caches of gigatoken 0.10 only ever grow: after this much text it begins with empty ones.
_RENEW_CHARS = 32_000_000

# Scripts, digits and blanks on which regular-expression engines are known to differ, and control tokens as text.
_HARD_STRINGS = (
    "", " ", "\n", "\r\n \n", " \u00a0\u3000\u2003 a", "a\u2028b\u2029c\x85d", "Ⅷ ⅷ ² ½ ٣٤ 一二 𝟘𝟙",
    "I'M don't DON'T ſ's 'ſ", "e\u0301\u0302 ﬁ ĳ", "नमस्ते ज़्यादा ภาษาไทย", "שָׁלוֹם مَرْحَبًا", "カタカナ 한국어",
    "😀\u200d🏳\ufe0f🇩🇪", "\u200b\u2060\ufeff\u202e", "a\0b\x01\x7f", "<|endoftext|><s></s>", "x" * 3000,
    " " * 3000, "ab" * 1500, "1" * 1000, "\U0010ffff\ufffd𒀀𐍈",
)  # fmt: skip


class NotSuitableError(LlmforgeError):
    """An encoder cannot be used for this tokenizer; the message says why."""


@dataclass(frozen=True)
class Choice:
    """The encoder that is used, the reason, and a sentence for each faster one that gave other ids."""

    name: str
    reason: str
    wrong: tuple[str, ...] = ()


def choose_encoder(tokenizer: Tokenizer, sample: Sequence[str]) -> Choice:
    """The fastest encoder that gives the reference's ids on hard strings and on a sample of the corpus.

    Args:
        tokenizer: the reference.
        sample: texts of this corpus.
    """
    texts, refused, wrong = [*_HARD_STRINGS, *sample], list[str](), list[str]()
    expected: list[NDArray[np.uint32]] | None = None
    for name, make in FASTER.items():
        try:
            encode = make(tokenizer)
        except NotSuitableError as error:
            refused.append(error.what)
            continue
        expected = expected or tokenizer.encode_batch(texts)
        pairs = zip(texts, expected, encode(texts), strict=True)
        differing = next((text for text, ours, theirs in pairs if not np.array_equal(ours, theirs)), None)
        if differing is None:
            reason = f"version {metadata.version(name)} gave the same ids on {len(texts)} texts, hard ones and your own"
            return Choice(name, reason, tuple(wrong))
        wrong.append(f"{name} {metadata.version(name)} is not used: it gives other ids for {differing[:40]!r}")
    return Choice(REFERENCE, "; ".join(dict.fromkeys([*refused, *wrong])), tuple(wrong))


def make_encoder(name: str, tokenizer: Tokenizer) -> EncodeBatch:
    """The encoder that was chosen, or the reference where it cannot be made any more."""
    if name == REFERENCE:
        return tokenizer.encode_batch
    try:
        return FASTER[name](tokenizer)
    except NotSuitableError as error:
        log.warn(f"encoding goes on with {REFERENCE} instead of {name}, with the same ids: {error}")
        return tokenizer.encode_batch


def make_gigatoken(tokenizer: Tokenizer) -> EncodeBatch:
    """The tokenizer in gigatoken.

    Raises: NotSuitableError if gigatoken is not installed, or does not know the tokenizer's pattern.
    """
    try:
        from gigatoken import Tokenizer as Gigatoken
    except ImportError as error:
        raise NotSuitableError(f"gigatoken is not installed ({_INSTALL})") from error
    description = json.loads(tokenizer.to_json())
    _named_pattern(description)
    description["added_tokens"] = []  # it would take control tokens out of the text
    source = json.dumps(description)
    try:
        encoder = Gigatoken.from_json(source)
    except Exception as error:  # RuntimeError for a pattern; whatever else, the reference can do it
        raise NotSuitableError(f"gigatoken cannot load this tokenizer ({error})") from error
    left_chars = _RENEW_CHARS

    def encode(text: str) -> NDArray[np.uint32]:
        nonlocal encoder, left_chars
        if left_chars <= 0:
            encoder, left_chars = Gigatoken.from_json(source), _RENEW_CHARS
        left_chars -= len(text)
        return encoder.encode(text)

    return _with_reference_behind(encode, tokenizer)


def make_tiktoken(tokenizer: Tokenizer) -> EncodeBatch:
    """The tokenizer's merges in tiktoken.

    tiktoken orders merges by the joined token and takes a piece that is a token at once, where the reference follows
    its list of merges: the two agree if every token has one merge and comes out whole of its own bytes.

    Raises: NotSuitableError if tiktoken is not installed, or the tokenizer is not of that kind.
    """
    try:
        import tiktoken
    except ImportError as error:
        raise NotSuitableError(f"tiktoken is not installed ({_INSTALL})") from error
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
    return _with_reference_behind(lambda text: encoding.encode_to_numpy(text, disallowed_special=()), tokenizer)


FASTER: dict[str, Callable[[Tokenizer], EncodeBatch]] = {"gigatoken": make_gigatoken, "tiktoken": make_tiktoken}
"""The fastest first."""


def _with_reference_behind(encode: Callable[[str], NDArray[np.uint32]], tokenizer: Tokenizer) -> EncodeBatch:
    """Texts that an encoder gives up on (its stack may overflow on a run of a million blanks) go to the reference."""

    def encode_one(text: str) -> NDArray[np.uint32]:
        try:
            return encode(text)
        except BaseException as error:
            if not isinstance(error, (TypeError, ValueError)) and type(error).__name__ != "PanicException":
                raise
            return tokenizer.encode(text)

    return lambda texts: [encode_one(text) for text in texts]


def _named_pattern(description: dict[str, Any]) -> str:
    """The pattern of a byte-level BPE tokenizer that has nothing but a named pattern before it.

    Raises: NotSuitableError if it is of another kind, or finds added tokens in text.
    """
    finds_added = any(not token["special"] for token in description["added_tokens"])
    is_plain = description["model"]["type"] == "BPE" and description["normalizer"] is None and not finds_added
    for name, pattern in SPLIT_PATTERNS.items():
        if is_plain and description["pre_tokenizer"] == json.loads(split_into_bytes(name).__getstate__()):
            return pattern
    raise NotSuitableError("it is no byte-level BPE with a pattern by name, the only kind that faster encoders know")


def _pairs(merges: list[Any]) -> list[tuple[str, str]]:
    """Merges as pairs; older files write them as one string."""
    pairs = (merge.split(" ") if isinstance(merge, str) else merge for merge in merges)
    return [(left, right) for left, right in pairs]
