"""What a user of a tokenizer should know about it: totals of the store it wrote, and where it is from."""

from collections import Counter
from pathlib import Path
from typing import Any

from tokenizers import __version__ as library_version

from llmforge.config.tokenize import TokenizeSection
from llmforge.core.hashing import hash_file
from llmforge.tokenize.token_store import Split, StoreShard, choose_dtype
from llmforge.tokenize.tokenizer import TOKENIZER, Tokenizer

_TOTALS = ("num_tokens", "num_bytes", "num_documents")


def describe_store(shards: dict[Split, list[StoreShard]], words: Counter[str]) -> dict[str, Any]:
    """Totals of each split and source, with bytes per token and tokens per word (fertility).

    The end token of each document counts as a token, as it does in training.
    """
    by_source: dict[str, dict[str, Any]] = {}
    splits: dict[str, dict[str, int]] = {}
    for split, members in shards.items():
        totals = {name: sum(getattr(shard, name) for shard in members) for name in _TOTALS}
        splits[split] = totals
        for shard in members:
            source = by_source.setdefault(shard.source, dict.fromkeys(_TOTALS, 0))
            for name in _TOTALS:
                source[name] += getattr(shard, name)
    for source_name, totals in by_source.items():
        totals["bytes_per_token"] = round(totals["num_bytes"] / totals["num_tokens"], 4)
        totals["tokens_per_word"] = round(totals["num_tokens"] / max(1, words[source_name]), 4)
    return {**splits, "by_source": by_source}


def tokenizer_card(
    folder: Path, tokenizer: Tokenizer, settings: TokenizeSection, facts: dict[str, Any], store: dict[str, Any]
) -> dict[str, Any]:
    """The content of `tokenizer_card.json`.

    Args:
        folder: where the tokenizer was saved.
        tokenizer: what was saved there.
        settings: what it was made with.
        facts: what training left.
        store: see `describe_store`.
    """
    return {
        **facts,
        "sha256": hash_file(folder / TOKENIZER),
        "eos_token": tokenizer.eos_token,
        "eos_id": tokenizer.eos_id,
        "dtype": choose_dtype(tokenizer.vocab_size),
        "library": f"tokenizers {library_version}",
        "settings": settings.model_dump(mode="json", exclude={"data"}),
        "store": store,
    }
