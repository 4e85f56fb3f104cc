import pytest

from llmforge.config.train import TrainSection
from llmforge.core.errors import SettingsError
from llmforge.parallel.mesh import Degrees, degrees_of
from llmforge.parallel.strategies import choose_strategy, create_strategy


def test_auto_takes_the_cheapest():
    assert choose_strategy("auto", 1) == "single"
    assert choose_strategy("auto", 4) == "ddp"


@pytest.mark.parametrize(
    ("name", "world_size", "message"),
    [("single", 2, "is single, but there are 2 processes"), ("ddp", 1, "is ddp, but there is one process")],
)
def test_a_strategy_that_does_not_fit_the_world_is_refused(name, world_size, message):
    with pytest.raises(SettingsError, match=message):
        choose_strategy(name, world_size)


def test_the_refusal_comes_before_any_process_group(monkeypatch):
    for name, value in {"RANK": "0", "WORLD_SIZE": "2", "LOCAL_RANK": "0"}.items():
        monkeypatch.setenv(name, value)  # without an address, joining would fail in another way
    with pytest.raises(SettingsError, match="there are 2 processes"):
        create_strategy(TrainSection(strategy="single"), precision="fp32")


def test_names_stand_for_degrees():
    assert degrees_of("single", 1) == Degrees(replicate=1)
    assert degrees_of("ddp", 8) == Degrees(replicate=8)
