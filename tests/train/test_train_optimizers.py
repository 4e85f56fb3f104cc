"""Optimizers: the textbook's updates, decay where it belongs, states that come back, and orthogonal matrices."""

import math
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from pydantic import ValidationError
from torch import Tensor, nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.tensor import Replicate, Shard, distribute_tensor

from llmforge.config.train import OptimizerSection, TrainSection
from llmforge.parallel import canonical
from llmforge.parallel.full_state import load_states, states_by_name
from llmforge.parallel.local_world import run_in_processes
from llmforge.parallel.process_group import World
from llmforge.train.muon import orthogonalise
from llmforge.train.optimizers import build_optimizer, decay_groups, muon_groups

NAMES = ("sgd", "momentum", "nesterov", "adam", "adamw", "rmsprop", "adagrad", "lion", "muon")
LR, WEIGHT_DECAY = 0.01, 0.1
State = dict[str, Tensor]


def named_parameters() -> list[tuple[str, nn.Parameter]]:
    torch.manual_seed(0)
    return [
        ("embedding.weight", nn.Parameter(torch.randn(5, 4))),
        ("blocks.0.up.weight", nn.Parameter(torch.randn(6, 4))),
        ("blocks.0.up.bias", nn.Parameter(torch.randn(6))),
    ]


def set_gradients(parameters: list[tuple[str, nn.Parameter]], step: int) -> None:
    """Another gradient each step, out of the weights too, so that a wrong update shows in the next one."""
    for _, parameter in parameters:
        numbers = torch.arange(parameter.numel(), dtype=torch.float32).reshape(parameter.shape)
        parameter.grad = torch.sin(numbers + step) + 0.1 * parameter.detach()


def sgd(g: Tensor, s: State, t: int) -> Tensor:
    return g


def momentum(g: Tensor, s: State, t: int) -> Tensor:
    s["v"] = 0.9 * s["v"] + g
    return s["v"]


def nesterov(g: Tensor, s: State, t: int) -> Tensor:
    s["v"] = 0.9 * s["v"] + g
    return g + 0.9 * s["v"]


def adam(g: Tensor, s: State, t: int) -> Tensor:
    s["m"], s["v"] = 0.9 * s["m"] + 0.1 * g, 0.95 * s["v"] + 0.05 * g**2
    return s["m"] / (1 - 0.9**t) / ((s["v"] / (1 - 0.95**t)).sqrt() + 1e-8)


def rmsprop(g: Tensor, s: State, t: int) -> Tensor:
    s["v"] = 0.99 * s["v"] + 0.01 * g**2
    return g / (s["v"].sqrt() + 1e-8)


def adagrad(g: Tensor, s: State, t: int) -> Tensor:
    s["v"] = s["v"] + g**2
    return g / (s["v"].sqrt() + 1e-10)


def lion(g: Tensor, s: State, t: int) -> Tensor:
    update = (0.9 * s["m"] + 0.1 * g).sign()
    s["m"] = 0.99 * s["m"] + 0.01 * g
    return update


def muon(g: Tensor, s: State, t: int) -> Tensor:
    s["m"] = 0.95 * s["m"] + 0.05 * g
    x = 0.05 * g + 0.95 * s["m"]
    x = x / x.norm()
    for _ in range(5):
        x = 3.4445 * x - 4.7750 * (x @ x.T) @ x + 2.0315 * (x @ x.T) @ (x @ x.T) @ x
    return 0.2 * math.sqrt(max(g.shape)) * x


TEXTBOOK: dict[str, Callable[[Tensor, State, int], Tensor]] = {
    "sgd": sgd,
    "momentum": momentum,
    "nesterov": nesterov,
    "adam": adam,
    "adamw": adam,
    "rmsprop": rmsprop,
    "adagrad": adagrad,
    "lion": lion,
    "muon": muon,
}
DECOUPLED = ("adamw", "lion", "muon")


@pytest.mark.parametrize("name", NAMES)
def test_updates_are_the_textbooks(name: str) -> None:
    parameters = named_parameters()
    optimizer = build_optimizer(OptimizerSection(name=name, lr=LR, weight_decay=WEIGHT_DECAY))(parameters)
    expected = {key: parameter.detach().double() for key, parameter in parameters}
    states = {key: {"m": torch.zeros_like(value), "v": torch.zeros_like(value)} for key, value in expected.items()}
    for step in range(1, 6):
        set_gradients(parameters, step)
        for key, parameter in parameters:
            decay = WEIGHT_DECAY if parameter.dim() == 2 else 0.0
            gradient = parameter.grad.double() + (0.0 if name in DECOUPLED else decay * expected[key])
            hidden = name == "muon" and key == "blocks.0.up.weight"
            rule = TEXTBOOK[name] if hidden or name != "muon" else adam
            update = rule(gradient, states[key], step)
            kept = 1 - LR * decay if name in DECOUPLED else 1.0
            expected[key] = kept * expected[key] - LR * update
        optimizer.step()
        for key, parameter in parameters:
            torch.testing.assert_close(parameter.detach().double(), expected[key], atol=2e-6, rtol=0, msg=f"{key}")


@pytest.mark.parametrize("name", NAMES)
def test_a_saved_state_goes_on_to_the_last_bit(name: str, tmp_path: Path) -> None:
    def take_steps(parameters: list[tuple[str, nn.Parameter]], optimizer: torch.optim.Optimizer, steps: range) -> None:
        for step in steps:
            set_gradients(parameters, step)
            optimizer.step()

    build = build_optimizer(OptimizerSection(name=name, lr=LR))
    first, second = named_parameters(), named_parameters()
    optimizer = build(first)
    take_steps(first, optimizer, range(3))
    kind = type(optimizer).__name__
    canonical.save_states(tmp_path, kind, states_by_name(optimizer, dict(first)).items())
    for (_, old), (_, new) in zip(first, second, strict=True):
        new.data.copy_(old.data)
    resumed = build(second)
    states: dict[str, dict[str, torch.Tensor]] = {}
    shapes = {key: parameter.shape for key, parameter in second}
    for key, state, value in canonical.read_states(tmp_path / canonical.OPTIMIZER, kind, shapes, shapes):
        states.setdefault(key, {})[state] = value
    load_states(resumed, dict(second), states)
    take_steps(first, optimizer, range(3, 6))
    take_steps(second, resumed, range(3, 6))
    for (_, old), (_, new) in zip(first, second, strict=True):
        assert torch.equal(old, new)


def test_muon_is_torchs_on_matrices() -> None:
    ours, theirs = (nn.Parameter(named_parameters()[1][1].detach().clone()) for _ in range(2))
    optimizer = build_optimizer(OptimizerSection(name="muon", lr=LR))([("blocks.0.up.weight", ours)])
    torchs = torch.optim.Muon([theirs], lr=LR, weight_decay=0.1, momentum=0.95, adjust_lr_fn="match_rms_adamw")
    for step in range(5):
        for parameter in (ours, theirs):
            set_gradients([("", parameter)], step)
        optimizer.step()
        torchs.step()
    # torch iterates in bf16, which rounds to 3 digits; an update is 0.01 x 0.2 x sqrt(6) = 0.005 per singular value.
    torch.testing.assert_close(ours, theirs, atol=5e-4, rtol=0)


def sharded_steps(world: World) -> list[list[float]]:
    """Muon over rows, uneven ones too, and columns that two ranks share."""
    mesh = init_device_mesh("cpu", (world.size,))
    places = ([Shard(0)], [Shard(1)], [Replicate()])
    parameters = [
        (name, nn.Parameter(distribute_tensor(parameter.detach(), mesh, place)))
        for (name, parameter), place in zip(named_parameters(), places, strict=True)
    ]
    optimizer = build_optimizer(OptimizerSection(name="muon", lr=LR))(parameters)
    whole = named_parameters()
    for step in range(3):
        set_gradients(whole, step)
        for (_, parameter), (_, one), place in zip(parameters, whole, places, strict=True):
            parameter.grad = distribute_tensor(one.grad, mesh, place)
        optimizer.step()
    return [parameter.detach().full_tensor().flatten().tolist() for _, parameter in parameters]


def test_muon_on_sharded_weights_is_muon_on_whole_ones() -> None:
    whole = named_parameters()
    optimizer = build_optimizer(OptimizerSection(name="muon", lr=LR))(whole)
    still = named_parameters()  # gradients do not follow the weights here, so that ranks need not gather them
    for step in range(3):
        set_gradients(still, step)
        for (_, parameter), (_, one) in zip(whole, still, strict=True):
            parameter.grad = one.grad
        optimizer.step()
    expected = [parameter.flatten().tolist() for _, parameter in whole]
    for got in run_in_processes(sharded_steps, 2, timeout_s=100):
        for numbers, right in zip(got, expected, strict=True):
            assert numbers == pytest.approx(right, abs=1e-6)


@pytest.mark.parametrize("bf16", [False, True])
@pytest.mark.parametrize("shape", [(3, 32, 32), (2, 16, 64), (1, 64, 16)])
def test_singular_values_come_near_one(shape: tuple[int, int, int], bf16: bool) -> None:
    torch.manual_seed(1)
    singular_values = torch.linalg.svdvals(orthogonalise(torch.randn(shape), bf16=bf16).float())
    assert 0.3 < singular_values.min()
    assert singular_values.max() < 1.25


def test_muon_of_a_bf16_training_is_near_that_of_fp32_and_keeps_its_states_in_fp32() -> None:
    updates = []
    for bf16 in (False, True):
        parameters = [("blocks.0.up.weight", nn.Parameter(torch.zeros(24, 16)))]
        optimizer = build_optimizer(OptimizerSection(name="muon", lr=LR), bf16=bf16)(parameters)
        parameters[0][1].grad = torch.randn(24, 16, generator=torch.Generator().manual_seed(0))
        optimizer.step()
        updates.append(parameters[0][1].detach())
        assert optimizer.state[parameters[0][1]]["momentum_buffer"].dtype == torch.float32
    fp32, coarse = updates
    assert 0 < (coarse - fp32).norm() < 0.05 * fp32.norm()  # bf16 has 3 digits; equal would mean that it was not used


def test_only_matrices_are_decayed() -> None:
    parameters = named_parameters()
    groups = decay_groups(parameters, 0.1)
    assert [(len(group["params"]), group["weight_decay"]) for group in groups] == [(2, 0.1), (1, 0.0)]
    assert len(decay_groups(parameters[:1], 0.1)) == 1


def test_muon_takes_the_matrices_of_blocks_only() -> None:
    groups = muon_groups(named_parameters(), 0.1)
    assert [(group["orthogonal"], group["params"][0].shape) for group in groups] == [
        (True, (6, 4)),
        (False, (5, 4)),
        (False, (6,)),
    ]


def test_defaults_depend_on_the_name() -> None:
    assert OptimizerSection().lr == OptimizerSection(name="muon").lr == 6e-4
    assert OptimizerSection(name="sgd").lr > 100 * OptimizerSection(name="lion").lr
    assert OptimizerSection(name="momentum").momentum == 0.9
    assert OptimizerSection(name="momentum", momentum=0.5).momentum == 0.5
    assert OptimizerSection(name="adam").weight_decay == 0.0


@pytest.mark.parametrize(
    ("name", "reason"), [("muon", "muon needs whole matrices"), ("adagrad", "before ZeRO cuts the weights")]
)
def test_what_zero_cannot_carry_out_is_refused_before_launch(name: str, reason: str) -> None:
    with pytest.raises(ValidationError, match=reason):
        TrainSection(strategy="zero1", optimizer=OptimizerSection(name=name))
    assert TrainSection(strategy="fsdp", optimizer=OptimizerSection(name=name)).optimizer.name == name
