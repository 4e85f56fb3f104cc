"""What a shingle is made of: words, characters, or the tokens of a tokenizer, each unit as a hash of 64 bits."""

from collections.abc import Sequence
from functools import cache

import numpy as np

from llmforge.config.dedup import MinHashSection
from llmforge.core.errors import InputError
from llmforge.dedup.shingles import Shingles, combine
from llmforge.dedup.words import I64, U64, hash_words, mix


def shingle_documents(texts: Sequence[str], minhash: MinHashSection) -> Shingles:
    """Hash every shingle of each text, of the unit and the size that the settings name.

    Raises: InputError if the tokenizer cannot be read.
    """
    if minhash.ngram_characters is not None:
        units, bounds = hash_characters(texts)
    elif minhash.tokenizer is not None:
        units, bounds = hash_tokens(texts, minhash.tokenizer)
    else:
        units, bounds = hash_words(texts)
    return combine(units, bounds, minhash.ngram)


def hash_characters(texts: Sequence[str]) -> tuple[U64, I64]:
    """Hash every character of each text: letters and digits in lower case, one space for whatever separates them.

    Returns: the hashes of all characters in order, and the bounds of each text among them.
    """
    folded = ["".join(char if char.isalnum() else " " for char in text.lower()).split() for text in texts]
    joined = [" ".join(words).encode("utf-32-le", "surrogatepass") for words in folded]
    code_points = np.frombuffer(b"".join(joined), dtype="<u4")
    return mix(code_points.astype(np.uint64)) | np.uint64(1), _bounds([len(data) // 4 for data in joined])


def hash_tokens(texts: Sequence[str], tokenizer: str) -> tuple[U64, I64]:
    """Hash every token of each text, without special tokens.

    Returns: the hashes of all tokens in order, and the bounds of each text among them.
    Raises: InputError if `tokenizer` is no tokenizer.json.
    """
    encodings = _load(tokenizer).encode_batch_fast(list(texts), add_special_tokens=False)
    ids = np.array([token for encoding in encodings for token in encoding.ids], dtype=np.uint64)
    return mix(ids + np.uint64(1)), _bounds([len(encoding.ids) for encoding in encodings])


def _bounds(lengths: list[int]) -> I64:
    return np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)])


@cache
def _load(path: str):  # type: ignore[no-untyped-def]  # tokenizers is imported here alone
    from tokenizers import Tokenizer

    try:
        return Tokenizer.from_file(path)
    except Exception as error:  # the library raises Exception itself
        raise InputError(
            f"dedup.minhash.tokenizer {path}: cannot be read ({error})", "give a tokenizer.json"
        ) from error
