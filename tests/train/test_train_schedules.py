"""Learning rates: warm-up from above zero, peak, and the final rate in the last step."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmforge.config.train import ScheduleSection
from llmforge.train.schedules import learning_rate

TEN_PERCENT = ScheduleSection(warmup_fraction=0.1, final_lr_fraction=0.1)


def test_values_of_a_cosine_after_a_warm_up() -> None:
    rates = [learning_rate(step, 101, 1.0, ScheduleSection(warmup_fraction=0.0)) for step in (0, 25, 50, 75, 100)]
    assert rates == pytest.approx([1.0, 0.868198, 0.55, 0.231802, 0.1], abs=1e-6)
    warm_up = [learning_rate(step, 40, 1e-3, TEN_PERCENT) for step in range(5)]
    assert warm_up == pytest.approx([0.2e-3, 0.4e-3, 0.6e-3, 0.8e-3, 1e-3])
    assert learning_rate(39, 40, 1e-3, TEN_PERCENT) == pytest.approx(1e-4)


@given(num_steps=st.integers(1, 500), warmup=st.floats(0, 0.99), final=st.floats(0, 1))
def test_rates_rise_to_the_peak_and_fall_to_the_end(num_steps: int, warmup: float, final: float) -> None:
    schedule = ScheduleSection(warmup_fraction=warmup, final_lr_fraction=final)
    rates = [learning_rate(step, num_steps, 2.0, schedule) for step in range(num_steps)]
    num_warmup = round(warmup * num_steps)
    assert rates[:num_warmup] == sorted(rates[:num_warmup])
    assert rates[num_warmup:] == sorted(rates[num_warmup:], reverse=True)
    assert 0 <= min(rates)
    assert max(rates) <= 2.0 + 1e-12
    assert rates[0] > 0
