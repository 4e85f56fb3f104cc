"""Learning rates: warm-up from above zero, peak, and the final rate in the last step."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmforge.config.train import ScheduleSection
from llmforge.train.schedules import learning_rate

TEN_PERCENT = ScheduleSection(warmup_fraction=0.1, final_lr_fraction=0.1)
SHAPES = ("constant", "linear", "cosine", "wsd", "inverse_sqrt")


@pytest.mark.parametrize(
    ("name", "rates"),
    [
        ("constant", [1.0, 1.0, 1.0, 1.0, 1.0]),
        ("linear", [1.0, 0.775, 0.55, 0.325, 0.1]),
        ("cosine", [1.0, 0.868198, 0.55, 0.231802, 0.1]),
        ("wsd", [1.0, 1.0, 1.0, 0.55, 0.1]),
        ("inverse_sqrt", [1.0, 0.196116, 0.140028, 0.114708, 0.099504]),
    ],
)
def test_values_without_a_warm_up(name: str, rates: list[float]) -> None:
    schedule = ScheduleSection(name=name, warmup_fraction=0.0, decay_fraction=0.495)
    got = [learning_rate(step, 101, 1.0, schedule) for step in (0, 25, 50, 75, 100)]
    assert got == pytest.approx(rates, abs=1e-6)


def test_values_of_a_warm_up() -> None:
    warm_up = [learning_rate(step, 40, 1e-3, TEN_PERCENT) for step in range(5)]
    assert warm_up == pytest.approx([0.2e-3, 0.4e-3, 0.6e-3, 0.8e-3, 1e-3])
    assert learning_rate(39, 40, 1e-3, TEN_PERCENT) == pytest.approx(1e-4)


@given(name=st.sampled_from(SHAPES), num_steps=st.integers(1, 300), warmup=st.floats(0, 0.99), final=st.floats(0, 1))
def test_rates_rise_to_the_peak_and_fall_to_the_end(name: str, num_steps: int, warmup: float, final: float) -> None:
    schedule = ScheduleSection(name=name, warmup_fraction=warmup, final_lr_fraction=final)
    rates = [learning_rate(step, num_steps, 2.0, schedule) for step in range(num_steps)]
    num_warmup = round(warmup * num_steps)
    assert rates[:num_warmup] == sorted(rates[:num_warmup])
    assert rates[num_warmup:] == sorted(rates[num_warmup:], reverse=True)
    assert 0 <= min(rates)
    assert max(rates) <= 2.0 + 1e-12
    assert rates[0] > 0
