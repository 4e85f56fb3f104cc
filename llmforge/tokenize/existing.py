"""Tokenizers that others made, used as they are.

tokenizer.json               of the `tokenizers` library, or a folder that holds one
vocab.json and merges.txt    GPT-2's files: a folder with both, or one of the two
*.tiktoken                   ranks; the pattern is not in the file and comes from `split_pattern`
*.model                      SentencePiece, unigram or BPE
"""

import base64
import binascii
from collections.abc import Iterator
from pathlib import Path

from tokenizers import Tokenizer, decoders, models

from llmforge.core import log
from llmforge.core.errors import InputError
from llmforge.tokenize.algorithms import split_into_bytes
from llmforge.tokenize.sentencepiece import convert, parse_model
from llmforge.tokenize.tokenizer import (
    EOS_TOKEN,
    TOKENIZER,
    TOKENIZER_CONFIG,
    byte_alphabet,
    configured_end_token,
    read_library_tokenizer,
)
from llmforge.tokenize.tokenizer import Tokenizer as LoadedTokenizer

_END_TOKENS = (EOS_TOKEN, "<|end_of_text|>", "</s>", "<eos>", "<|im_end|>", "[SEP]")
_VOCABULARY, _MERGES = "vocab.json", "merges.txt"
_HARD_STRINGS = (
    "",
    " a  b\t\n\n c ",
    "naïve e\u0301 ﬁ ½",
    "東京 שלום مرحبا",
    "😀👨\u200d👩\u200d👧 𒀀",
    "a\0b\x7f\u2581x",
)


def find_tokenizer_files(path: str) -> tuple[Path, ...]:
    """The files that make up the tokenizer at `path`, a file or a folder.

    Raises: InputError if there is none of a known kind.
    """
    named = Path(path)
    folder = named if named.is_dir() else named.parent
    pair = (folder / _VOCABULARY, folder / _MERGES)
    if named.is_dir() and (named / TOKENIZER).is_file():
        named = named / TOKENIZER
    if named.is_dir() or named in pair:
        if missing := [file for file in pair if not file.is_file()]:
            raise InputError(
                f"{path}: no {TOKENIZER}, and no {missing[0].name}", "give a tokenizer.json, or both GPT-2 files"
            )
        return pair
    if not named.is_file():
        raise InputError(f"{path}: no such file or folder", "check tokenize.tokenizer")
    if named.suffix not in (".json", ".tiktoken", ".model"):
        raise InputError(
            f"{path}: not a tokenizer by its ending", "known: tokenizer.json, vocab.json, .tiktoken, .model"
        )
    config = folder / TOKENIZER_CONFIG
    return (named, config) if named.name == TOKENIZER and config.is_file() else (named,)


def use_existing(path: str, split_pattern: str) -> LoadedTokenizer:
    """The tokenizer at `path`, with an end-of-document token.

    Args:
        path: a file or a folder.
        split_pattern: for ranks and merges, which come without their pattern.
    Raises: InputError if the files are damaged.
    """
    files = find_tokenizer_files(path)
    first = files[0]
    eos_token = None
    if first.suffix == ".tiktoken":
        library = _byte_level(_ranks(first), split_pattern)
    elif first.suffix == ".model":
        library = convert(parse_model(first.read_bytes()))
    elif first.name == _VOCABULARY:
        library = _from_merges(files[0], files[1], split_pattern)
    else:
        library = read_library_tokenizer(first)
        eos_token = configured_end_token(files[1]) if len(files) > 1 else None
    return LoadedTokenizer(library, _ensure_end_token(library, eos_token))


def round_trips(tokenizer: LoadedTokenizer) -> bool:
    """Whether a list of hard strings comes back exactly."""
    return all(tokenizer.decode(tokenizer.encode(text)) == text for text in _HARD_STRINGS)


def _ensure_end_token(library: Tokenizer, configured: str | None) -> str:
    """The name of the end-of-document token; one is added where there is none."""
    known = configured or next((name for name in _END_TOKENS if library.token_to_id(name) is not None), None)
    eos_token = known or EOS_TOKEN
    if library.token_to_id(eos_token) is None:
        log.decided("end-of-document token", f"{eos_token}, added as a new id", "the tokenizer has none")
    elif configured is None:
        log.decided("end-of-document token", eos_token, "the tokenizer has it")
    library.add_special_tokens([eos_token])  # keeps the id of a token that is there
    return eos_token


def _from_merges(vocabulary: Path, merges: Path, split_pattern: str) -> Tokenizer:
    try:
        model = models.BPE.from_file(str(vocabulary), str(merges))
    except Exception as error:  # the library raises bare Exception
        raise InputError(f"{vocabulary} and {merges.name}: not a BPE tokenizer ({error})") from error
    tokenizer = Tokenizer(model)
    tokenizer.pre_tokenizer = split_into_bytes(split_pattern)
    tokenizer.decoder = decoders.ByteLevel()
    return tokenizer


def _ranks(path: Path) -> dict[bytes, int]:
    """The ranks of a tiktoken file: on each line a token in base64 and its rank.

    Raises: InputError naming the line that is something else.
    """
    ranks = {}
    for number, line in enumerate(path.read_bytes().splitlines(), 1):
        try:
            token, rank = line.split()
            ranks[base64.b64decode(token, validate=True)] = int(rank)
        except (ValueError, binascii.Error) as error:
            raise InputError(f"{path}:{number}: not a token and its rank ({error})") from error
    if missing := [byte for byte in range(256) if bytes([byte]) not in ranks]:
        raise InputError(f"{path}: no rank for the byte 0x{missing[0]:02X}", "every byte needs one")
    return ranks


def _byte_level(ranks: dict[bytes, int], split_pattern: str) -> Tokenizer:
    """Ranks as merges: a pair is merged where the joined token has a rank, the lowest first."""
    to_char = {byte: char for char, byte in byte_alphabet().items()}
    names = {token: "".join(to_char[byte] for byte in token) for token in ranks}
    vocabulary = {names[token]: rank for token, rank in ranks.items()}
    by_rank = sorted(ranks, key=ranks.__getitem__)
    merges = [(names[left], names[right]) for token in by_rank for left, right in _halves(token, ranks)]
    tokenizer = Tokenizer(models.BPE(vocabulary, merges, ignore_merges=True))
    tokenizer.pre_tokenizer = split_into_bytes(split_pattern)
    tokenizer.decoder = decoders.ByteLevel()
    return tokenizer


def _halves(token: bytes, ranks: dict[bytes, int]) -> Iterator[tuple[bytes, bytes]]:
    """Every way to make a token of two others."""
    for cut in range(1, len(token)):
        left, right = token[:cut], token[cut:]
        if left in ranks and right in ranks:
            yield left, right
