import random

import numpy as np
import pytest
from datasketch import MinHash
from hypothesis import given
from hypothesis import strategies as st

from llmforge.dedup.lsh import band_keys, candidate_probability, catch_curve, choose_bands
from llmforge.dedup.minhash import EMPTY, sign
from llmforge.dedup.shingles import Shingles, shingle
from llmforge.dedup.words import mix

SETS = st.lists(st.lists(st.integers(0, 2**64 - 1), max_size=40), min_size=1, max_size=6)


def shingles_of(sets: list[list[int]]) -> Shingles:
    bounds = np.cumsum([0, *map(len, sets)])
    return Shingles(np.array([value for one in sets for value in one], dtype=np.uint64), bounds)


def datasketch_values(hashes: list[int], num_values: int) -> list[int]:
    reference = MinHash(num_perm=num_values, hashfunc=int)
    reference.update_batch([value & 0xFFFFFFFF for value in hashes])
    return reference.hashvalues.tolist()


@given(sets=SETS, num_values=st.sampled_from([1, 8, 112, 128]))
def test_signatures_are_those_of_datasketch_value_for_value(sets: list[list[int]], num_values: int) -> None:
    signatures = sign(shingles_of(sets), num_values)
    assert signatures.tolist() == [datasketch_values(one, num_values) for one in sets]


def test_real_text_and_a_set_longer_than_a_chunk_too() -> None:
    words = " ".join(f"w{number}" for number in range(70_000))
    shingles = shingle(["a short text of some words", words, ""], 5)
    signatures = sign(shingles, 112)
    for place in range(3):
        hashes = shingles.hashes[shingles.bounds[place] : shingles.bounds[place + 1]].tolist()
        assert signatures[place].tolist() == datasketch_values(hashes, 112)
    assert (signatures[2] == EMPTY).all()


@pytest.mark.parametrize("similarity", [0.5, 0.6, 0.7, 0.8, 0.9])
def test_candidates_are_found_at_the_rate_of_the_curve(similarity: float) -> None:
    bands, rows, num_pairs, size = 14, 8, 1500, 90
    shared = round(2 * size * similarity / (1 + similarity))
    actual = shared / (2 * size - shared)
    draw = np.random.default_rng(int(similarity * 10))
    sets = []
    for _ in range(num_pairs):
        values = draw.integers(0, 2**63, 2 * size - shared).tolist()
        sets += [values[:size], values[size - shared :]]
    keys = band_keys(sign(shingles_of(sets), bands * rows), bands)
    found = int((keys[0::2] == keys[1::2]).any(axis=1).sum())
    expected = candidate_probability(actual, bands, rows)
    tolerance = 3 * (num_pairs * expected * (1 - expected)) ** 0.5
    assert abs(found - num_pairs * expected) <= max(tolerance, 1)


def test_the_published_curve_of_14_bands_of_8_rows() -> None:
    assert {at: round(share, 3) for at, share in catch_curve(14, 8).items()} == {
        0.5: 0.053,
        0.6: 0.211,
        0.7: 0.565,
        0.8: 0.924,
        0.9: 1.0,
    }


@pytest.mark.parametrize(("recall", "at"), [(0.95, 0.8), (0.5, 0.5), (0.99, 0.9), (0.9, 0.3)])
def test_chosen_bands_reach_the_recall_and_more_rows_would_not(recall: float, at: float) -> None:
    bands, rows = choose_bands(recall, at)
    assert bands * rows <= 512
    assert candidate_probability(at, bands, rows) >= recall
    assert candidate_probability(at, bands - 1, rows) < recall
    assert candidate_probability(at, 512 // (rows + 1), rows + 1) < recall


def test_a_recall_out_of_reach_is_refused() -> None:
    with pytest.raises(ValueError, match=r"no signature of 4 values catches 99% of the pairs at 0\.1"):
        choose_bands(0.99, 0.1, max_values=4)
    with pytest.raises(ValueError, match="must lie between 0 and 1"):
        choose_bands(1.0, 0.5)


def test_equal_values_in_different_bands_give_different_keys() -> None:
    signatures = np.tile(np.arange(8, dtype=np.uint32), (1, 14))
    assert len(set(band_keys(signatures, 14)[0].tolist())) == 14


def test_band_keys_of_many_signatures_are_all_different() -> None:
    draw = random.Random(5)
    signatures = np.array([[draw.randrange(2**32) for _ in range(8)] for _ in range(20_000)], dtype=np.uint32)
    assert len(np.unique(band_keys(signatures, 2))) == 40_000


def test_mixing_loses_nothing() -> None:
    assert len(np.unique(mix(np.arange(100_000, dtype=np.uint64)))) == 100_000
