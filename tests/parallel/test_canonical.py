import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from llmforge.core.errors import InputError
from llmforge.model.saved import load_weights
from llmforge.parallel.canonical import OPTIMIZER, read_states, save_states, save_weights
from llmforge.parallel.full_state import load_states, states_by_name


def linear(rows=3):
    torch.manual_seed(0)
    return nn.Linear(4, rows)


def save_optimizer(folder, optimizer, model):
    states = states_by_name(optimizer, dict(model.named_parameters()))
    save_states(folder, type(optimizer).__name__, states.items())


def load_optimizer(folder, optimizer, parameters):
    shapes, states = {name: parameter.shape for name, parameter in parameters.items()}, {}
    for name, key, value in read_states(folder / OPTIMIZER, type(optimizer).__name__, shapes, shapes):
        states.setdefault(name, {})[key] = value
    load_states(optimizer, parameters, states)


def stepped(kind, model, **settings):
    optimizer = kind(model.parameters(), lr=0.1, **settings)
    model(torch.ones(4)).square().sum().backward()
    optimizer.step()
    return optimizer


KINDS = [
    (torch.optim.AdamW, {}),
    (torch.optim.SGD, {"momentum": 0.9, "nesterov": True}),
    (torch.optim.SGD, {}),
    (torch.optim.RMSprop, {}),
    (torch.optim.Adagrad, {}),
]


@pytest.mark.parametrize(("kind", "settings"), KINDS)
def test_an_optimizer_goes_on_from_its_saved_state_to_the_last_bit(tmp_path, kind, settings):
    model = linear()
    optimizer = stepped(kind, model, **settings)
    save_weights(tmp_path, model.named_parameters())
    save_optimizer(tmp_path, optimizer, model)
    other = linear()
    other_optimizer = kind(other.parameters(), lr=0.1, **settings)
    load_weights(tmp_path / "weights.safetensors", dict(other.named_parameters()))
    load_optimizer(tmp_path, other_optimizer, dict(other.named_parameters()))
    for net, opt in ((model, optimizer), (other, other_optimizer)):
        opt.zero_grad()
        net(torch.ones(4)).square().sum().backward()
        opt.step()
    for name, parameter in model.named_parameters():
        assert torch.equal(parameter, dict(other.named_parameters())[name])


def test_files_are_keyed_by_parameter_name(tmp_path):
    model = linear()
    save_weights(tmp_path, model.named_parameters())
    save_optimizer(tmp_path, stepped(torch.optim.AdamW, model), model)
    assert sorted(load_file(tmp_path / "weights.safetensors")) == ["bias", "weight"]
    states = ["exp_avg", "exp_avg_sq", "step"]
    assert sorted(load_file(tmp_path / "optimizer.safetensors")) == [
        f"{name}/{state}" for name in ("bias", "weight") for state in states
    ]


def test_another_optimizer_is_refused(tmp_path):
    model = linear()
    save_optimizer(tmp_path, stepped(torch.optim.AdamW, model), model)
    with pytest.raises(InputError, match="written by the optimizer AdamW, this run uses SGD"):
        load_optimizer(tmp_path, torch.optim.SGD(model.parameters()), dict(model.named_parameters()))


def test_other_shapes_and_names_are_refused(tmp_path):
    model = linear()
    save_weights(tmp_path, model.named_parameters())
    save_optimizer(tmp_path, stepped(torch.optim.AdamW, model), model)
    wider = linear(rows=5)
    with pytest.raises(InputError, match=r"weight has shape \(3, 4\), this model expects \(5, 4\)"):
        load_weights(tmp_path / "weights.safetensors", dict(wider.named_parameters()))
    with pytest.raises(InputError, match=r"bias/exp_avg has shape \(3,\), this model expects \(5,\)"):
        load_optimizer(tmp_path, torch.optim.AdamW(wider.parameters()), dict(wider.named_parameters()))
    with pytest.raises(InputError, match=r"missing: \['gain'\], unknown: \['bias', 'weight'\]"):
        load_weights(tmp_path / "weights.safetensors", {"gain": nn.Parameter(torch.ones(1))})
    with pytest.raises(InputError, match=r"missing: \['gain'\], unknown: \['weight'\]"):
        load_optimizer(tmp_path, torch.optim.AdamW(model.parameters()), {"gain": model.weight, "bias": model.bias})


@pytest.mark.parametrize("damage", ["missing", "cut short"])
def test_an_unreadable_file_is_named(tmp_path, damage):
    path = tmp_path / "weights.safetensors"
    if damage == "cut short":
        save_file({"weight": torch.ones(4, 4)}, path)
        path.write_bytes(path.read_bytes()[:-8])
    with pytest.raises(InputError, match=r"weights.safetensors: not readable as safetensors"):
        load_weights(path, {"weight": nn.Parameter(torch.ones(4, 4))})
