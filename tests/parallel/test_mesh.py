import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmforge.config.parallel import ParallelSection
from llmforge.config.train import TrainSection
from llmforge.core.errors import SettingsError
from llmforge.parallel.mesh import Degrees, degrees_of
from llmforge.parallel.strategies import create_strategy


@pytest.mark.parametrize(
    ("strategy", "world_size", "given", "expected"),
    [
        ("single", 1, {}, Degrees()),
        ("ddp", 8, {}, Degrees(replicate=8)),
        ("fsdp", 8, {}, Degrees(shard=8)),
        ("fsdp", 8, {"replicate": 2}, Degrees(replicate=2, shard=4)),
        ("model", 4, {}, Degrees(pipeline=4)),
        ("pipeline", 4, {}, Degrees(pipeline=4)),
        ("tensor", 4, {}, Degrees(tensor=4)),
        ("2d", 8, {}, Degrees(tensor=2, pipeline=4)),
        ("2d", 8, {"tensor": 4}, Degrees(tensor=4, pipeline=2)),
        ("2d", 8, {"shard": 4, "tensor": 2}, Degrees(shard=4, tensor=2)),
        ("3d", 8, {}, Degrees(shard=2, tensor=2, pipeline=2)),
        ("3d", 8, {"replicate": 2}, Degrees(replicate=2, tensor=2, pipeline=2)),
        ("3d", 512, {"tensor": 8, "pipeline": 4}, Degrees(shard=16, tensor=8, pipeline=4)),
    ],
)
def test_a_name_and_the_given_degrees_make_a_mesh(strategy, world_size, given, expected):
    assert degrees_of(strategy, world_size, ParallelSection(**given)) == expected


@pytest.mark.parametrize(
    ("strategy", "world_size", "given", "message"),
    [
        ("ddp", 4, {"tensor": 2}, "train.parallel.tensor is 2, but the strategy ddp has no such axis"),
        ("tensor", 4, {"tensor": 3}, "tensor 3 = 3 processes, but there are 4"),
        ("fsdp", 6, {"replicate": 4}, "shard 1 x replicate 4 = 4 processes, but there are 6"),
        ("2d", 3, {}, "= 2 processes, but there are 3"),
        ("3d", 6, {}, "= 4 processes, but there are 6"),
    ],
)
def test_degrees_that_make_no_mesh_are_refused(strategy, world_size, given, message):
    with pytest.raises(SettingsError) as caught:
        degrees_of(strategy, world_size, ParallelSection(**given))
    assert message in caught.value.what


def test_the_refusal_comes_before_any_process_group(monkeypatch):
    for name, value in {"RANK": "0", "WORLD_SIZE": "4", "LOCAL_RANK": "0"}.items():
        monkeypatch.setenv(name, value)  # without an address, joining would fail in another way
    with pytest.raises(SettingsError, match="tensor 3 = 3 processes"):
        create_strategy(TrainSection(strategy="tensor", parallel=ParallelSection(tensor=3)), precision="fp32")


@given(st.builds(Degrees, *[st.integers(1, 3)] * 4))
def test_every_place_is_taken_once_and_peers_share_their_data(degrees):
    places = [degrees.coordinate(rank) for rank in range(degrees.world)]
    assert len(set(places)) == degrees.world
    by_data = [degrees.data_rank(rank) for rank in range(degrees.world)]
    assert {by_data.count(rank) for rank in range(degrees.data)} == {degrees.tensor * degrees.pipeline}
