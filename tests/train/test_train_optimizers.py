"""AdamW: decay on matrices only, and the textbook's update."""

import pytest
import torch
from torch import nn

from llmforge.config.train import OptimizerSection
from llmforge.train.optimizers import build_optimizer, decay_groups


def named_parameters() -> list[tuple[str, nn.Parameter]]:
    torch.manual_seed(0)
    return [("matrix", nn.Parameter(torch.randn(3, 2))), ("bias", nn.Parameter(torch.randn(3)))]


def test_only_matrices_are_decayed() -> None:
    (_, matrix), (_, bias) = parameters = named_parameters()
    groups = decay_groups(parameters, 0.1)
    assert [group["weight_decay"] for group in groups] == [0.1, 0.0]
    assert groups[0]["params"][0] is matrix
    assert groups[1]["params"][0] is bias
    assert len(decay_groups(parameters[:1], 0.1)) == 1


def test_adamw_follows_the_textbook() -> None:
    section = OptimizerSection(lr=0.01, beta1=0.9, beta2=0.95, eps=1e-8, weight_decay=0.1)
    parameters = named_parameters()
    optimizer = build_optimizer(section)(parameters)
    expected = {name: parameter.detach().double().clone() for name, parameter in parameters}
    moments = {name: (torch.zeros_like(value), torch.zeros_like(value)) for name, value in expected.items()}
    for step in range(1, 4):
        for name, parameter in parameters:
            parameter.grad = torch.full_like(parameter, 0.5 * step)
            first, second = moments[name]
            first = 0.9 * first + 0.1 * parameter.grad.double()
            second = 0.95 * second + 0.05 * parameter.grad.double() ** 2
            moments[name] = first, second
            value = expected[name] * (1 - 0.01 * (0.1 if name == "matrix" else 0.0))
            corrected = (second / (1 - 0.95**step)).sqrt() + 1e-8
            expected[name] = value - 0.01 * first / (1 - 0.9**step) / corrected
        optimizer.step()
    for name, parameter in parameters:
        assert parameter.detach().double().numpy() == pytest.approx(expected[name].numpy(), abs=1e-6)
