"""Scores of a text's quality that need no model, noted in the document's `quality`.

    alphanumeric      letters and digits among all characters
    special           characters that are no letters: digits, signs and space
    word_repetition   runs of 10 words that occur more than once, among all runs
    compression       size after deflate by size before; low is repetitive
    entropy           of the distribution of words (bits a word); low is repetitive, high for its length is a list

Source: Chen et al., Data-Juicer, arXiv 2309.02033 (the first three and their limits); RedPajama-V2, quality signals
(entropy); Deutsch, DEFLATE, RFC 1951.
"""

import math
import zlib
from collections import Counter
from collections.abc import Iterator

from llmforge.config.filters.prose import QualityScoresSection
from llmforge.curate.filters.findings import Condition
from llmforge.curate.filters.text_stats import TextStats

_RUN_WORDS = 10


def examine(stats: TextStats, limits: QualityScoresSection) -> Iterator[Condition]:
    """Each score against its limit; all are noted, whatever the limits say."""
    scores = measure(stats)
    stats.meta["quality"] = {name: round(score, 4) for name, score in scores.items()}
    for name, is_least in (
        ("alphanumeric", True),
        ("special", False),
        ("word_repetition", False),
        ("compression", True),
        ("entropy", True),
    ):
        setting = f"{'min' if is_least else 'max'}_{name}"
        fault = f"{name}_too_{'low' if is_least else 'high'}"
        yield Condition(fault, scores[name], getattr(limits, setting), ">=" if is_least else "<=", setting)


def measure(stats: TextStats) -> dict[str, float]:
    """The scores of a text."""
    text, words = stats.text, stats.words
    num_chars, num_words = max(len(text), 1), max(len(words), 1)
    runs = Counter(zip(*(words[shift:] for shift in range(_RUN_WORDS)), strict=False))
    data = text.encode("utf-8", "replace")
    return {
        "alphanumeric": sum(map(str.isalnum, text)) / num_chars,
        "special": 1 - sum(map(str.isalpha, text)) / num_chars,
        "word_repetition": sum(count for count in runs.values() if count > 1) / max(runs.total(), 1),
        "compression": len(zlib.compress(data, 6)) / max(len(data), 1),
        "entropy": -sum(count / num_words * math.log2(count / num_words) for count in Counter(words).values()),
    }
