"""A tokenizer as the rest of llmforge sees it: text to ids, ids to text, and the bytes of each token.

    tokenizer.json          the whole tokenizer, in the format of the `tokenizers` library
    tokenizer_config.json   the end-of-document token, in the format of `transformers`

Text is only ever text: a literal `<|endoftext|>` in a document encodes as ordinary characters, never as control.
"""

import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import tokenizers
from numpy.typing import NDArray
from tokenizers.decoders import ByteLevel as ByteLevelDecoder
from tokenizers.pre_tokenizers import ByteLevel

from llmforge.core.errors import InputError
from llmforge.core.files import read_json, write_bytes, write_json

TOKENIZER = "tokenizer.json"
TOKENIZER_CONFIG = "tokenizer_config.json"
EOS_TOKEN = "<|endoftext|>"
UNKNOWN_TOKENS = ("[UNK]", "<unk>")
_MAX_VOCAB_SIZE = 1 << 24


@contextmanager
def explained_panics(doing: str) -> Iterator[None]:
    """Turn a panic of the Rust library, which is no `Exception`, into an error that can be read.

    Raises: InputError naming what was being done.
    """
    try:
        yield
    except BaseException as error:
        if type(error).__name__ != "PanicException":
            raise
        raise InputError(f"{doing}: the tokenizers library gave up ({error})") from error


@contextmanager
def library_threads(num_threads: int) -> Iterator[None]:
    """Let the library use this many threads (count); more than one only where no process is forked meanwhile.

    The size of its pool is fixed by the first use of more than one thread in this process.
    """
    wanted = {"TOKENIZERS_PARALLELISM": str(num_threads > 1).lower(), "RAYON_NUM_THREADS": str(num_threads)}
    before = {name: os.environ.get(name) for name in wanted}
    os.environ.update(wanted)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name)
            else:
                os.environ[name] = value


class Tokenizer:
    """A trained tokenizer with its end-of-document token."""

    def __init__(self, library_tokenizer: tokenizers.Tokenizer, eos_token: str) -> None:
        eos_id = library_tokenizer.token_to_id(eos_token)
        if eos_id is None:
            raise InputError(f"the tokenizer has no token {eos_token!r}", "name its end-of-document token")
        self._library = library_tokenizer
        self._library.encode_special_tokens = True  # control tokens in text are text
        self._library.no_truncation()  # others' files may ask for any of these
        self._library.no_padding()
        if getattr(library_tokenizer.model, "dropout", None):
            self._library.model.dropout = None
        self.eos_token = eos_token
        self.eos_id: int = eos_id
        self.vocab_size: int = max(library_tokenizer.get_vocab(with_added_tokens=True).values()) + 1
        if self.vocab_size > _MAX_VOCAB_SIZE:
            raise InputError(f"the tokenizer's highest id is {self.vocab_size - 1:,}", "its file is damaged or hostile")

    def token_id(self, token: str) -> int | None:
        """The id of a token; None if the vocabulary has no such token."""
        found: int | None = self._library.token_to_id(token)
        return found

    def spelling(self, token: int) -> str:
        """How the vocabulary spells a token; nothing for an id that it leaves out."""
        return self._library.id_to_token(token) or ""

    def encode(self, text: str) -> NDArray[np.uint32]:
        """Ids of one text, without an end token."""
        return self.encode_batch([text])[0]

    def encode_batch(self, texts: Sequence[str]) -> list[NDArray[np.uint32]]:
        """Ids of several texts, without end tokens.

        Raises: InputError if a text holds a lone surrogate, which no UTF-8 can express.
        """
        try:
            with explained_panics("encoding"):
                encodings = self._library.encode_batch_fast(list(texts), add_special_tokens=False)
        except TypeError as error:
            raise _explain_surrogate(texts) from error
        return [np.array(encoding.ids, np.uint32) for encoding in encodings]

    def decode(self, ids: Sequence[int] | NDArray[Any]) -> str:
        """Text of the ids, special tokens written out; exact where the tokenizer is lossless and the text whole."""
        with explained_panics("decoding"):
            return self._library.decode([int(token) for token in ids], skip_special_tokens=False)

    def token_bytes(self) -> list[bytes]:
        """The bytes that each id stands for; none for special tokens and for "unknown"."""
        special = set(self._library.get_added_tokens_decoder()) | {self.token_id(name) for name in UNKNOWN_TOKENS}
        to_bytes = _byte_level if isinstance(self._library.decoder, ByteLevelDecoder) else _byte_fallback
        pieces = [self.spelling(token) for token in range(self.vocab_size)]
        return [b"" if token in special else to_bytes(piece) for token, piece in enumerate(pieces)]

    def has_whole_tokens(self) -> bool:
        """Whether the pieces of every token, taken alone, are merged into that token again."""
        special = set(self._library.get_added_tokens_decoder())
        model = self._library.model
        pieces = {token: self._library.id_to_token(token) for token in range(self.vocab_size) if token not in special}
        return all(
            piece is not None and [found.id for found in model.tokenize(piece)] == [token]
            for token, piece in pieces.items()
        )

    def to_json(self) -> str:
        """The whole tokenizer in the format of the `tokenizers` library."""
        return str(self._library.to_str(pretty=True))

    def save(self, tokenizer_path: Path, config_path: Path) -> None:
        """Write both files; `transformers` loads their folder as a fast tokenizer."""
        write_bytes(tokenizer_path, self.to_json().encode() + b"\n")
        config = {
            "tokenizer_class": "PreTrainedTokenizerFast",
            "bos_token": self.eos_token,
            "eos_token": self.eos_token,
            "clean_up_tokenization_spaces": False,
        }
        write_json(config_path, config)


def load_tokenizer(folder: Path) -> Tokenizer:
    """The tokenizer of a tokenize artifact, or of any folder with the two files.

    Raises: InputError if a file is missing, damaged or no tokenizer.
    """
    library = read_library_tokenizer(folder / TOKENIZER)
    return Tokenizer(library, str(configured_end_token(folder / TOKENIZER_CONFIG)))


def configured_end_token(path: Path) -> str | None:
    """The end-of-document token that a `tokenizer_config.json` names, as a word or as an object."""
    token = read_json(path).get("eos_token")
    return token["content"] if isinstance(token, dict) else token


def read_library_tokenizer(path: Path) -> tokenizers.Tokenizer:
    """Read a `tokenizer.json`.

    Raises: InputError if the file is missing, damaged or no tokenizer.
    """
    if not path.is_file():
        raise InputError(f"{path}: no such file")
    try:
        with explained_panics(str(path)):
            return tokenizers.Tokenizer.from_file(str(path))
    except InputError:
        raise
    except Exception as error:  # the library raises bare Exception
        raise InputError(f"{path}: not a tokenizer ({error})", "the file is damaged; rebuild it") from error


@cache
def byte_alphabet() -> dict[str, int]:
    """The byte that each character of a byte-level vocabulary stands for.

    Printable bytes stand for themselves, the others for characters from U+0100 on, in order.
    Source: Radford et al. 2019, the byte table of the GPT-2 encoder.
    """
    alphabet = set(ByteLevel.alphabet())
    direct = {chr(byte): byte for byte in range(256) if chr(byte) in alphabet}
    shifted = (byte for byte in range(256) if chr(byte) not in direct)
    return direct | {chr(256 + place): byte for place, byte in enumerate(shifted)}


def _byte_level(piece: str) -> bytes:
    return bytes(byte_alphabet()[char] for char in piece)


def _byte_fallback(piece: str) -> bytes:
    if re.fullmatch("<0x[0-9A-F]{2}>", piece):
        return bytes([int(piece[3:5], 16)])
    return piece.replace("\u2581", " ").encode()


def _explain_surrogate(texts: Sequence[str]) -> InputError:
    for text in texts:
        try:
            text.encode()
        except UnicodeEncodeError as error:
            what = f"lone surrogate U+{ord(text[error.start]):04X} at character {error.start}"
            return InputError(f"the text cannot be encoded: {what}", "it is no Unicode text; clean it first")
    return InputError("the text cannot be encoded: it is not a string")
