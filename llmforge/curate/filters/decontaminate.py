"""Items of evaluation sets in training text, found by runs of words.

    item of >= ngram words        any run of `ngram` words that it shares with the text
    item of min_words or more     the whole item
    shorter items                 not looked for: they stand in clean text too

Words are compared without case, and punctuation and line ends only separate, so that an item is found however it is
wrapped. A run that stands in many items is a phrase of the set's form ("which of the following best explains"), and
counts only for items that have nothing else. Memory grows with the evaluation sets, not with the text.

Source: Brown et al., Language Models are Few-Shot Learners, arXiv 2005.14165, appendix C (13-grams); the rule for short
items and for phrases of form is our own.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import repeat

import numpy as np
from numpy.typing import NDArray

from llmforge.config.filters.evaluation import DecontaminateSection
from llmforge.curate.filters.evaluation_sets import find_sets, read_items
from llmforge.curate.filters.findings import Condition
from llmforge.curate.filters.text_stats import TextStats

U64 = NDArray[np.uint64]
I64 = NDArray[np.int64]

# In scripts without spaces between words each character is a word.
_WORD = re.compile(r"[\u0e00-\u0eff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]|[^\W_]+")
_BASE = np.uint64(0x9E3779B97F4A7C15)
_FORM_ITEMS = 10


def examine(stats: TextStats, limits: DecontaminateSection) -> Iterator[Condition]:
    """How many evaluation items the text holds."""
    sets = load_sets(limits)
    found = sets.find(stats.text)
    yield Condition("evaluation_item", len(found), limits.max_items, "<=", "max_items", lambda: _show(found))


def _show(found: "dict[str, str]") -> str:
    """The item with the longest span in the text, and that span."""
    if not found:
        return ""
    item = max(found, key=lambda name: len(found[name]))
    return f"{item}: {found[item]}"


@lru_cache(maxsize=4)
def load_sets(limits: DecontaminateSection) -> "EvaluationSets":
    """The evaluation sets of a rule, ready to be looked for."""
    return EvaluationSets(limits)


@dataclass(frozen=True)
class _Index:
    """Runs of n words by their hash, sorted, each with where it begins among the words of all passages."""

    num_words: int
    hashes: U64
    starts: I64


class EvaluationSets:
    """The passages of all items, as numbers of words, with an index of their runs.

    Attributes:
        num_items: items read (count).
        num_too_short: of them, those with no passage of `min_words` words.
    """

    def __init__(self, limits: DecontaminateSection) -> None:
        self._vocabulary: dict[str, int] = {}
        self.items: list[str] = []
        self.num_too_short = 0
        words: list[int] = []
        bounds, owners = [0], []
        for file in find_sets(limits.against):
            for name, passages in read_items(file):
                self.items.append(name)
                cut = [_WORD.findall(passage.casefold()) for passage in passages]
                long_enough = [passage for passage in cut if len(passage) >= limits.min_words]
                self.num_too_short += not long_enough
                for passage in long_enough:
                    words.extend(self._vocabulary.setdefault(word, len(self._vocabulary) + 1) for word in passage)
                    bounds.append(len(words))
                    owners.append(len(self.items) - 1)
        self._words, self._bounds = np.array(words, dtype=np.int64), np.array(bounds, dtype=np.int64)
        self._owners = np.array(owners, dtype=np.int64)
        lengths = np.diff(self._bounds)
        is_long = lengths >= limits.ngram
        self._runs = self._index_runs(limits.ngram, np.flatnonzero(is_long))
        first = self._bounds[:-1][~is_long]
        self._wholes = _sorted_index(limits.min_words, _hash_runs(self._words, limits.min_words), first)

    @property
    def num_items(self) -> int:
        """Items read (count)."""
        return len(self.items)

    def _index_runs(self, ngram: int, passages: I64) -> _Index:
        """Every run of the passages but those of their form, where other runs are left of an item."""
        hashes = _hash_runs(self._words, ngram)
        counts = np.diff(self._bounds)[passages] - ngram + 1
        offsets = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
        starts = np.repeat(self._bounds[passages], counts) + offsets
        owners = np.repeat(self._owners[passages], counts)
        return _sorted_index(ngram, hashes, starts[~_is_form(hashes[starts], owners)])

    def find(self, text: str) -> dict[str, str]:
        """Names of the items that a text holds, each with its longest run of words as it stands in the text."""
        spelled = _WORD.findall(text.casefold())
        numbers = np.fromiter(map(self._vocabulary.get, spelled, repeat(0)), dtype=np.int64, count=len(spelled))
        spans: dict[int, tuple[int, int]] = {}
        for index in (self._runs, self._wholes):
            for place, start in _look_up(index, numbers):
                self._match(index, numbers, place, start, spans)
        if not spans:
            return {}
        # Places of words in the text are asked for only now: few texts come this far.
        places = [match.span() for match in _WORD.finditer(text.casefold())]
        shown = text if len(text.casefold()) == len(text) else text.casefold()
        return {self.items[item]: shown[places[a][0] : places[b - 1][1]] for item, (a, b) in spans.items()}

    def _match(self, index: _Index, numbers: I64, place: int, start: int, spans: dict[int, tuple[int, int]]) -> None:
        """Note a run that is the same word by word; of a short passage, all of it has to be there."""
        passage = int(np.searchsorted(self._bounds, start, side="right")) - 1
        end = int(self._bounds[passage + 1])
        num_words = end - start if index is self._wholes else index.num_words
        if not np.array_equal(numbers[place : place + num_words], self._words[start : start + num_words]):
            return
        longest = min(len(numbers) - place, end - start)
        same = numbers[place : place + longest] == self._words[start : start + longest]
        length = longest if same.all() else int(np.argmin(same))
        item = int(self._owners[passage])
        before = spans.get(item, (0, 0))
        if length > before[1] - before[0]:
            spans[item] = (place, place + length)


def _hash_runs(words: I64, num_words: int) -> U64:
    """A hash of each run of n words, by where it begins; the last n - 1 places have none."""
    count = max(len(words) - num_words + 1, 0)
    hashes = np.zeros(count, dtype=np.uint64)
    values = words.astype(np.uint64)
    for place in range(num_words):
        hashes = hashes * _BASE + values[place : place + count]
        hashes ^= hashes >> np.uint64(29)
    return hashes


def _sorted_index(num_words: int, hashes: U64, starts: I64) -> _Index:
    order = np.argsort(hashes[starts], kind="stable")
    return _Index(num_words, hashes[starts][order], starts[order])


def _is_form(hashes: U64, owners: I64) -> NDArray[np.bool_]:
    """Which runs stand in many items whose other runs do not."""
    pairs = np.unique(np.stack([hashes, owners.astype(np.uint64)]), axis=1)
    shared, counts = np.unique(pairs[0], return_counts=True)
    is_form = np.isin(hashes, shared[counts > _FORM_ITEMS])
    with_others = np.unique(owners[~is_form])
    return is_form & np.isin(owners, with_others)


def _look_up(index: _Index, numbers: I64) -> Iterator[tuple[int, int]]:
    """Places of a text whose run may be one of the index, and where that begins; a run with a foreign word is none."""
    if len(numbers) < index.num_words or not len(index.hashes):
        return
    known = np.concatenate([[0], np.cumsum(numbers > 0)])
    places = np.flatnonzero(known[index.num_words :] - known[: -index.num_words] == index.num_words)
    if not len(places):
        return
    hashes = _hash_runs(numbers, index.num_words)[places]
    first = np.searchsorted(index.hashes, hashes, side="left")
    last = np.searchsorted(index.hashes, hashes, side="right")
    for found in np.flatnonzero(last > first):
        for start in index.starts[first[found] : last[found]]:
            yield int(places[found]), int(start)
