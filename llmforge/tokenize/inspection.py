"""What a tokenizer makes of a text, token by token: spelling, bytes, and the text that can be shown for them."""

import codecs
from dataclasses import dataclass
from pathlib import Path

from llmforge.core.errors import InputError
from llmforge.tokenize.existing import use_existing
from llmforge.tokenize.token_store import INDEX, SPLITS, TokenStore
from llmforge.tokenize.tokenizer import TOKENIZER, TOKENIZER_CONFIG, Tokenizer, load_tokenizer


@dataclass(frozen=True)
class Piece:
    """One token of a text: its id, its spelling in the vocabulary, and the bytes that it stands for.

    `text` is what can be shown: a character whose bytes are spread over several tokens stands whole at the last of
    them; bytes that make no character show as a replacement mark.
    """

    id: int
    spelling: str
    bytes: bytes
    text: str


def find_tokenizer(path: Path) -> Tokenizer:
    """The tokenizer of a run's folder, of a folder with tokenizer.json, or of any file that can be used as it is.

    Raises: InputError if there is none.
    """
    for folder in (path / "tokenize", path):
        if (folder / TOKENIZER_CONFIG).is_file() and (folder / TOKENIZER).is_file():
            return load_tokenizer(folder)
    if not path.exists():
        raise InputError(f"{path}: no such run or tokenizer", "name a run's folder, such as runs/demo, or a file")
    return use_existing(str(path), "gpt2")


def is_run(path: Path) -> bool:
    """Whether a run's folder with encoded documents is there."""
    return (path / "tokenize" / INDEX).is_file()


def first_tokens(run: Path, num_tokens: int) -> list[int]:
    """The first tokens of a run's store, of training where there is any (count)."""
    for split in SPLITS:
        store = TokenStore.open(run / "tokenize", split)
        for number, shard in enumerate(store.shards):
            return [int(token) for token in store.read(number, 0, min(num_tokens, shard.num_tokens))]
    raise InputError(f"{run}: the token store is empty")


def pieces(tokenizer: Tokenizer, ids: list[int]) -> list[Piece]:
    """Each token with its bytes, and the characters that they complete; a token without bytes shows its spelling."""
    of_token = tokenizer.token_bytes()
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    found = []
    for place, token in enumerate(ids):
        is_last = place + 1 == len(ids)
        text = decoder.decode(of_token[token], is_last)
        spelling = tokenizer.spelling(token)
        found.append(Piece(token, spelling, of_token[token], text if of_token[token] else text + spelling))
    return found
