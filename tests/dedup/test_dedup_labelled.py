"""Quality on sets of real near-duplicates with labels."""

import csv
import gzip
import json
from collections import Counter, defaultdict
from collections.abc import Callable
from itertools import combinations, pairwise
from math import comb
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from deduplicating import Result, Row

from llmforge.dedup.lsh import candidate_probability
from llmforge.dedup.shingles import shingle


def load(real_data: Path, name: str) -> list[Row]:
    with gzip.open(real_data / "dedup" / f"{name}.jsonl.gz", "rt", encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def run(run_dedup: Callable[..., Result], records: list[Row]) -> dict[str, str]:
    """By id, the document that stays for it."""
    rows = [{"id": row["id"], "text": row["text"], "source": "set", "url": "", "meta": {}} for row in records]
    result = run_dedup([rows])
    assert all(row["similarity"] >= 0.7 for row in result.removed)
    return {row["id"]: row["id"] for row in rows} | {row["id"]: row["kept_id"] for row in result.removed}


def num_pairs(labels: dict[str, Any]) -> int:
    return sum(comb(size, 2) for size in Counter(labels.values()).values())


def least_found(records: list[Row], truth: dict[str, Any]) -> float:
    """True pairs over the threshold that the catch curve promises, less 3 standard deviations."""
    shingles = shingle([row["text"] for row in records], 5)
    sets = [shingles.hashes[first:last] for first, last in pairwise(shingles.bounds.tolist())]
    places = defaultdict(list)
    for place, row in enumerate(records):
        places[truth[row["id"]]].append(place)
    similarities = np.array(
        [_jaccard(sets[a], sets[b]) for group in places.values() for a, b in combinations(group, 2)]
    )
    promised = candidate_probability(similarities[similarities >= 0.7], 14, 8)
    return float(promised.sum() - 3 * np.sqrt((promised * (1 - promised)).sum()))


def _jaccard(one: Any, other: Any) -> float:
    return len(np.intersect1d(one, other)) / len(np.union1d(one, other))


@pytest.mark.parametrize("name", ["powershell_versions", "gutenberg_editions"])
def test_versions_and_editions(run_dedup: Callable[..., Result], real_data: Path, name: str) -> None:
    records = load(real_data, name)
    truth = {row["id"]: row["cluster"] for row in records}
    found = run(run_dedup, records)
    shared = num_pairs({place: (truth[place], found[place]) for place in truth})
    assert shared == num_pairs(found)  # precision 1
    assert shared >= least_found(records, truth)


def test_planted_articles_are_found_and_nothing_else(run_dedup: Callable[..., Result], real_data: Path) -> None:
    found = run(run_dedup, load(real_data, "minhash_articles"))
    with open(real_data / "dedup" / "minhash_articles.pairs.tsv", encoding="utf-8") as file:
        planted = {frozenset((row["id_a"], row["id_b"])) for row in csv.DictReader(file, delimiter="\t")}
    assert {frozenset(pair) for pair in found.items() if pair[0] != pair[1]} == planted
