"""The repetition filters of MassiveText, in the two variants that are in use; they share the limits, not the measures.

                      @dclm: as the paper is written            @datatrove
    duplicates        every copy, the first included            the second and later copies
    n-grams           words without punctuation                 words and punctuation
    top n-gram        0 if nothing repeats; the longest of      scored even if it occurs once; the first seen of those
                      those that are equally frequent           that are equally frequent
    duplicate n-gram  characters of all words in a repeated     characters of later copies, which do not overlap
                      n-gram, each word once
    share of          the characters of what is compared        all characters of the text

One passage that occurs twice scores more than twice as high under @dclm. Words are cut by Unicode's character classes
where DCLM has uniseg, and tokens nearly as spaCy cuts them, which datatrove has. Limits are allowed; what is greater is
dropped.

Source: Rae et al., Scaling Language Models (Gopher), arXiv 2112.11446, Table A1; Li et al., DataComp-LM,
arXiv 2406.11794; datatrove, GopherRepetitionFilter.
"""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import accumulate, pairwise

from llmforge.config.filters.prose import GopherRepetitionSection
from llmforge.curate.filters.findings import Condition
from llmforge.curate.filters.text_stats import TextStats

_TOP_SIZES = (2, 3, 4)
_DUPLICATE_SIZES = (5, 6, 7, 8, 9, 10)
_LINE_ENDS = re.compile(r"\n+")
_PARAGRAPH_ENDS = re.compile(r"\n{2,}")

Gram = tuple[str, ...]
Measure = tuple[str, float]
"""The name of a measure, which is that of its limit without `max_`, and its value."""


def examine(stats: TextStats, limits: GopherRepetitionSection) -> Iterator[Condition]:
    """The measures of the variant, in its order."""
    measure = measure_literally if limits.rule == "gopher_repetition@dclm" else measure_later_copies
    for name, value in measure(stats):
        setting = f"max_{name}"
        yield Condition(name, value, getattr(limits, setting), "<=", setting)


def measure_literally(stats: TextStats) -> Iterator[Measure]:
    """The measures of @dclm, in its order."""
    lines, line_chars = _share_of_copies(stats.lines)
    paragraphs, paragraph_chars = _share_of_copies(stats.paragraphs)
    yield "duplicate_lines", lines
    yield "duplicate_paragraphs", paragraphs
    yield "duplicate_line_chars", line_chars
    yield "duplicate_paragraph_chars", paragraph_chars
    yield from _repeated_ngrams(stats.plain_words)


def _share_of_copies(parts: Sequence[str]) -> tuple[float, float]:
    """Parts that occur more than once, every copy of them: share of the parts, share of the characters."""
    copied = [(part, count) for part, count in Counter(parts).items() if count > 1]
    num_chars = sum(map(len, parts))
    return (
        sum(count for _, count in copied) / max(len(parts), 1),
        sum(len(part) * count for part, count in copied) / max(num_chars, 1),
    )


def _repeated_ngrams(words: Sequence[str]) -> Iterator[Measure]:
    """Top 2-, 3-, 4-grams, then duplicate 5- to 10-grams, as shares of the characters of all words.

    An n-gram can only be repeated where the one that is a word shorter is: each size looks at those places alone.
    """
    ends = [0, *accumulate(map(len, words))]
    total = max(ends[-1], 1)
    for size, counts, starts in _narrow(words):
        if size in _TOP_SIZES:
            yield f"top_{size}gram", _top_chars(counts) / total
        else:
            yield f"duplicate_{size}gram", _covered_chars(starts, size, ends) / total


def _narrow(words: Sequence[str]) -> Iterator[tuple[int, Counter[Gram], Sequence[int]]]:
    """Of each size, the n-grams that may be repeated with their counts, and where those that are repeated start."""
    starts: Sequence[int] = range(len(words))
    for size in (*_TOP_SIZES, *_DUPLICATE_SIZES):
        if size == _TOP_SIZES[0]:
            grams: list[Gram] = list(pairwise(words))
        else:
            grams = [tuple(words[start : start + size]) for start in starts if start + size <= len(words)]
        counts = Counter(grams)
        # Starts rise, so those too near to the end are the last ones, and `grams` is in step with `starts`.
        starts = [start for start, gram in zip(starts, grams, strict=False) if counts[gram] > 1]
        yield size, counts, starts


def _top_chars(counts: Counter[Gram]) -> int:
    """Characters in the copies of the most frequent n-gram, the longest of several; 0 if none is repeated."""
    most = max(counts.values(), default=0)
    return most * max(sum(map(len, gram)) for gram, count in counts.items() if count == most) if most > 1 else 0


def _covered_chars(starts: Sequence[int], size: int, ends: Sequence[int]) -> int:
    """Characters of the words that n-grams at `starts` cover, each word once; `ends` are running word lengths."""
    covered = reached = 0
    for start in starts:
        covered += ends[start + size] - ends[max(start, reached)]
        reached = start + size
    return covered


def measure_later_copies(stats: TextStats) -> Iterator[Measure]:
    """The measures of @datatrove, in its order."""
    num_chars = max(len(stats.text), 1)
    for unit, parts in (
        ("paragraph", _PARAGRAPH_ENDS.split(stats.text.strip())),
        ("line", _LINE_ENDS.split(stats.text)),
    ):
        later = find_later_copies(parts)
        yield f"duplicate_{unit}s", len(later) / len(parts)
        yield f"duplicate_{unit}_chars", sum(map(len, later)) / num_chars
    tokens = stats.tokens
    for size, counts, starts in _narrow(tokens):
        if size in _TOP_SIZES:
            yield f"top_{size}gram", _first_top_chars(counts, tokens, size) / num_chars
        else:
            yield f"duplicate_{size}gram", _later_ngram_chars(tokens, size, starts) / num_chars


def find_later_copies(parts: Sequence[str]) -> list[str]:
    """The second and later copies of parts."""
    seen: set[str] = set()
    later = []
    for part in parts:
        if part in seen:
            later.append(part)
        seen.add(part)
    return later


def _first_top_chars(counts: Counter[Gram], tokens: Sequence[str], size: int) -> int:
    """Characters in the copies of the most frequent n-gram, the first of several; it may occur once."""
    ((gram, count),) = counts.most_common(1) or [((), 0)]
    if count < 2:  # of those that occur once, only such as may be repeated were counted
        gram, count = tuple(tokens[:size]), 1
    return len(" ".join(gram)) * count if len(gram) == size else 0


def _later_ngram_chars(tokens: Sequence[str], size: int, starts: Sequence[int]) -> int:
    """Characters of n-grams seen before; the search goes on after the end of each.

    Args:
        starts: where n-grams start that are repeated; at all others nothing is found.
    """
    seen: set[Gram] = set()
    num_chars = reached = 0
    for start in starts:
        if start < reached:
            continue
        gram = tuple(tokens[start : start + size])
        if gram in seen:
            num_chars += sum(map(len, gram))
            reached = start + size
        seen.add(gram)
    return num_chars
