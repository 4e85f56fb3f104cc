"""A comparison of tokenizers as tables: in three parts for a screen, as one in Markdown."""

from llmforge.tokenize.compare import Row

_TOKENIZER = ("algorithm", "tokens", "comes back")
_SCORES = ("bytes/token", "tokens/word", "unknown", "Rényi", "dead", "MB/s")
_TRAINING = ("corpus tokens", "FLOPs of an epoch", "embedding share")


def tables(rows: list[Row]) -> dict[str, list[list[str]]]:
    """The comparison in three parts by title, each a header and cells that begin with tokenizer and round trip."""
    groups = sorted({group for row in rows for group in row.scores.by_group})
    parts = {
        "scores on held-out text": (_SCORES, _scores),
        "what it means for training": (_TRAINING, _training),
        "bytes per token by source": (groups, lambda row: [f"{row.scores.by_group[group]:.2f}" for group in groups]),
    }
    return {
        title: [[*_TOKENIZER, *names], *([*_tokenizer(row), *cells(row)] for row in rows)]
        for title, (names, cells) in parts.items()
    }


def _tokenizer(row: Row) -> list[str]:
    return [row.algorithm, f"{row.vocab_size:,}", f"{row.scores.round_trip:.1%}"]


def _scores(row: Row) -> list[str]:
    scores = row.scores
    return [
        f"{scores.bytes_per_token:.2f}",
        f"{scores.tokens_per_word:.2f}",
        f"{scores.unknown_rate:.1%}",
        f"{scores.renyi:.3f}",
        f"{scores.dead:.1%}",
        f"{scores.mb_per_s:.1f}",
    ]


def _training(row: Row) -> list[str]:
    return [f"{row.corpus_tokens:,}", f"{row.flops:.2e}", f"{row.embedding_share:.1%}"]


def markdown(rows: list[Row]) -> str:
    """The comparison as one Markdown table."""
    first, *others = tables(rows).values()
    lines = [[*line, *(cell for part in others for cell in part[place][3:])] for place, line in enumerate(first)]
    lines.insert(1, ["---"] * len(lines[0]))
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"
