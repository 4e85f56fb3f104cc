"""The order of samples: every window as often as its weight says, the same however it is asked for."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmforge.train.order import Permutation, SampleOrder, SourceShare


@given(size=st.integers(1, 3000), seed=st.integers(0, 2**62))
def test_a_permutation_reaches_every_number_once(size: int, seed: int) -> None:
    moved = Permutation(size, seed)(np.arange(size))
    assert sorted(moved.tolist()) == list(range(size))


def test_a_permutation_of_a_trillion_numbers_needs_no_list() -> None:
    size = 10**12
    permutation = Permutation(size, 7)
    moved = permutation(np.array([0, 1, 2, size - 1]))
    assert len(set(moved.tolist())) == 4
    assert moved.max() < size
    assert moved.tolist() == permutation(np.array([0, 1, 2, size - 1])).tolist()


def test_a_permutation_mixes_and_depends_on_its_seed() -> None:
    places = np.arange(4096)
    first, second = Permutation(4096, 1)(places), Permutation(4096, 2)(places)
    assert (first == second).mean() < 0.01
    assert abs(np.corrcoef(places, first)[0, 1]) < 0.05


@given(counts=st.lists(st.integers(0, 60), min_size=1, max_size=4).filter(any), seed=st.integers(0, 1000))
def test_at_weight_one_an_epoch_draws_each_window_once(counts: list[int], seed: int) -> None:
    order = SampleOrder([SourceShare(str(n), count, 1.0) for n, count in enumerate(counts)], seed)
    assert order.epoch_samples == sum(counts)
    for epoch in range(2):
        drawn = list(zip(*(part.tolist() for part in order.draw(_epoch(order, epoch))), strict=True))
        assert sorted(drawn) == [(source, window) for source, count in enumerate(counts) for window in range(count)]


def test_epochs_differ() -> None:
    order = SampleOrder([SourceShare("a", 50, 1.0)], 3)
    first, second = order.draw(_epoch(order, 0))[1], order.draw(_epoch(order, 1))[1]
    assert first.tolist() != second.tolist()


@given(weight=st.sampled_from([0.25, 0.5, 1.5, 2.0, 2.25, 3.0]), seed=st.integers(0, 100))
def test_a_weight_says_how_often_an_epoch_draws_a_window(weight: float, seed: int) -> None:
    order = SampleOrder([SourceShare("a", 40, weight), SourceShare("b", 7, 1.0)], seed)
    per_window: Counter[int] = Counter()
    for epoch in range(4):
        sources, windows = order.draw(_epoch(order, epoch))
        in_epoch = Counter(windows[sources == 0].tolist())
        assert in_epoch.total() == 40 * weight
        assert set(in_epoch.values()) <= {int(weight), int(weight) + 1}
        per_window.update(in_epoch)
    assert set(per_window.values()) == {int(4 * weight)}  # even over four epochs


@given(cut=st.integers(1, 99), seed=st.integers(0, 100))
def test_samples_do_not_depend_on_how_they_are_asked_for(cut: int, seed: int) -> None:
    order = SampleOrder([SourceShare("a", 11, 1.0), SourceShare("b", 20, 0.5)], seed)
    whole = np.stack(order.draw(np.arange(100)))
    parts = [np.stack(order.draw(np.arange(0, cut))), np.stack(order.draw(np.arange(cut, 100)))]
    assert (whole == np.concatenate(parts, axis=1)).all()


@pytest.mark.parametrize("weight", [1.0, 1.3])
def test_samples_are_those_of_every_machine(weight: float) -> None:
    order = SampleOrder([SourceShare("a", 10, weight), SourceShare("b", 5, 1.0)], 1)
    expected = {1.0: EXPECTED_1_0, 1.3: EXPECTED_1_3}[weight]
    assert [part.tolist() for part in order.draw(np.arange(6))] == expected


EXPECTED_1_0 = [[0, 0, 0, 1, 0, 0], [2, 8, 4, 0, 6, 1]]
EXPECTED_1_3 = [[1, 1, 0, 0, 1, 1], [1, 3, 5, 9, 2, 0]]


def _epoch(order: SampleOrder, epoch: int) -> np.ndarray:
    return np.arange(epoch * order.epoch_samples, (epoch + 1) * order.epoch_samples)
