"""Proof of a finished dedup artifact, from its files alone.

1. Every removed document's keeper is there, and has the cluster size that its removals add up to.
2. Kept and removed documents are as many as the manifest says.
3. What was missed is no more than the catch curve allows: a seeded sample of the kept documents is compared with
   every kept document, shingle by shingle, without MinHash.
"""

import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from llmforge.config.dedup import DedupSection, MinHashSection
from llmforge.core.errors import InputError
from llmforge.core.hashing import derive_seed
from llmforge.core.shards import read_objects
from llmforge.dedup.exact import normalise
from llmforge.dedup.lsh import candidate_probability
from llmforge.dedup.units import shingle_documents
from llmforge.dedup.words import U64
from llmforge.pipeline.manifest import Manifest, read_manifest

_HINT = "the artifact is damaged; rebuild it: llmforge dedup --force"
_BATCH_DOCUMENTS = 64


@dataclass(frozen=True)
class Proof:
    """What was checked.

    `missed` of the `sampled` documents are similar enough to another kept one to have been its duplicate;
    `allowed` is how many the catch curve lets through, three standard deviations included.
    """

    kept: int
    removed: int
    sampled: int
    missed: int
    allowed: float


def prove(folder: Path, num_sampled: int = 500) -> Proof:
    """Read a dedup artifact again and prove it.

    Memory grows by one counter for every cluster and the shingles of the sample.

    Args:
        folder: the artifact, `runs/<run>/dedup`.
        num_sampled: kept documents that are compared with all others (count).
    Raises: InputError naming the first thing that is not as it should be.
    """
    manifest = read_manifest(folder)
    removed, similarities, owed = _read_removed(folder)
    kept = _check_keepers(folder, owed)
    _check_earlier_keepers(folder)
    _check_counts(manifest, kept, removed, folder)
    settings = DedupSection.model_validate(manifest.settings, strict=False)
    # The catch curve speaks of Jaccard similarity; what containment should have found it cannot say.
    if settings.minhash is None or settings.minhash.verify_containment is not None or not kept:
        return Proof(kept, removed, 0, 0, 0.0)
    sampled = min(num_sampled, kept)
    missed = _count_missed(folder, settings.minhash, set(_sample(kept, sampled, manifest.seed)))
    allowed = _allowed(similarities, settings.minhash, sampled / kept)
    if missed > allowed:
        raise InputError(
            f"{folder}: {missed} of {sampled} sampled documents are near-duplicates of another kept one; "
            f"the catch curve allows {allowed:.1f}",
            "look at them with `llmforge inspect`; more bands catch more, at the price of more comparisons",
        )
    return Proof(kept, removed, sampled, missed, allowed)


def _documents(folder: Path) -> Iterator[dict[str, Any]]:
    for path in sorted((folder / "data").glob("*.jsonl.zst")):
        yield from read_objects(path)


def _read_removed(folder: Path) -> tuple[int, list[float], Counter[str]]:
    """How many were removed, the similarities of the near-duplicates, and how many each keeper stands for."""
    count, similarities, owed = 0, [], Counter[str]()
    for path in sorted((folder / "removed").glob("*.jsonl.zst")):
        for removed in read_objects(path):
            count += 1
            if removed.get("kept_in") is None:
                owed[removed["kept_id"]] += 1
            if removed["method"] == "minhash":
                similarities.append(removed["similarity"])
    return count, similarities, owed


def _check_keepers(folder: Path, owed: Counter[str]) -> int:
    """Hold every keeper's cluster size against its removals; returns the number of kept documents."""
    kept = 0
    for document in _documents(folder):
        kept += 1
        if (others := document["meta"]["dedup"]["cluster_size"] - 1) or document["id"] in owed:
            owed[document["id"]] -= others
    for name, balance in owed.items():
        if balance:
            what = "more" if balance > 0 else "fewer"
            raise InputError(
                f"{folder}: {abs(balance)} {what} documents were removed in favour of {name} than it stands for", _HINT
            )
    return kept


def _check_earlier_keepers(folder: Path) -> None:
    """Hold removals in favour of earlier artifacts against the ids that stand in the shards they name."""
    wanted: dict[Path, set[str]] = {}
    for path in sorted((folder / "removed").glob("*.jsonl.zst")):
        for removed in read_objects(path):
            if (kept_in := removed.get("kept_in")) is not None:
                shard = Path(kept_in, "data", f"{removed['kept_shard']:05d}.jsonl.zst")
                wanted.setdefault(shard, set()).add(removed["kept_id"])
    for shard, names in sorted(wanted.items()):
        if missing := names - {document["id"] for document in read_objects(shard)}:
            raise InputError(
                f"{folder}: {min(missing)} should stand for removed documents, but is not in {shard}", _HINT
            )


def _check_counts(manifest: Manifest, kept: int, removed: int, folder: Path) -> None:
    documents = manifest.account.total.documents
    if (kept, removed) != (documents.kept, documents.num_dropped):
        raise InputError(
            f"{folder}: holds {kept:,} kept and {removed:,} removed documents, "
            f"but its manifest says {documents.kept:,} and {documents.num_dropped:,}",
            _HINT,
        )


def _sample(kept: int, sampled: int, seed: int) -> list[int]:
    """Places of the sampled documents among the kept ones."""
    random = np.random.default_rng(derive_seed(seed, "dedup", "proof"))
    places: list[int] = random.choice(kept, sampled, replace=False).tolist()
    return places


def _count_missed(folder: Path, minhash: MinHashSection, sample: set[int]) -> int:
    """Sampled documents that are similar enough to another kept document."""
    index = _Index([shingles for place, shingles in _shingle_sets(folder, minhash) if place in sample])
    members = {place: member for member, place in enumerate(sorted(sample))}
    missed = np.zeros(len(sample), dtype=bool)
    for place, shingles in _shingle_sets(folder, minhash):
        similar = index.similarities(shingles) >= minhash.verify_jaccard
        if place in members:
            similar[members[place]] = False
        missed |= similar
    return int(missed.sum())


def _shingle_sets(folder: Path, minhash: MinHashSection) -> Iterator[tuple[int, U64]]:
    """The shingle set of every kept document, with its place."""
    texts: list[str] = []
    place = 0
    for document in _documents(folder):
        texts.append(normalise(document["text"]))
        if len(texts) == _BATCH_DOCUMENTS:
            yield from _numbered(texts, minhash, place)
            place += len(texts)
            texts = []
    yield from _numbered(texts, minhash, place)


def _numbered(texts: list[str], minhash: MinHashSection, place: int) -> Iterator[tuple[int, U64]]:
    shingles = shingle_documents(texts, minhash)
    for index in range(len(texts)):
        yield place + index, shingles.unique(index)


class _Index:
    """An inverted index of some shingle sets: which of them hold a shingle."""

    def __init__(self, sets: list[U64]) -> None:
        self._sizes = np.array([len(one) for one in sets])
        hashes = np.concatenate(sets)
        order = np.argsort(hashes, kind="stable")
        self._hashes = hashes[order]
        self._members = np.repeat(np.arange(len(sets)), self._sizes)[order]

    def similarities(self, shingles: U64) -> NDArray[np.float64]:
        """Exact Jaccard similarity of a shingle set to each set of the index."""
        first = np.searchsorted(self._hashes, shingles, side="left")
        counts = np.searchsorted(self._hashes, shingles, side="right") - first
        hits = np.arange(counts.sum()) + np.repeat(first - (np.cumsum(counts) - counts), counts)
        shared = np.bincount(self._members[hits], minlength=len(self._sizes))
        union = self._sizes + len(shingles) - shared
        return np.asarray(shared / np.maximum(union, 1), dtype=np.float64)


def _allowed(similarities: list[float], minhash: MinHashSection, share: float) -> float:
    """Missed documents in a sample that the catch curve explains, with three standard deviations.

    A removed document at similarity s was found with probability p(s); to one found there belong (1 - p) / p that
    were not, with variance (1 - p) / p ** 2 (negative binomial). Both ends of a missed pair count as missed.
    """
    found = np.array(similarities)
    chance = candidate_probability(found, minhash.bands, minhash.rows) if len(found) else np.ones(1)
    expected = 2 * share * float(((1 - chance) / chance).sum())
    variance = 4 * share * float(((1 - chance) / chance**2).sum())
    return expected + 3 * math.sqrt(variance + expected) + 3
