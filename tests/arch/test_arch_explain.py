"""What `inspect params` shows, and the lesson that goes with it."""

import json
import math

import pytest

from llmforge.arch.explain import inspect_parameters, lesson
from llmforge.arch.presets import PRESETS, preset


@pytest.mark.parametrize("name", PRESETS)
def test_the_table_adds_up_to_the_total(name):
    shown = inspect_parameters(preset(name)).to_dict()
    assert sum(row["total"] for row in shown["weights"]) == shown["parameters"]["total"]
    assert all(row["each"] * row["copies"] == row["total"] for row in shown["weights"])
    json.dumps(shown)


def test_formulas_are_arithmetic_that_gives_the_count():
    for weight in inspect_parameters(preset("gpt2")).weights:
        terms = [term.split(" x ") for term in weight.formula.replace(",", "").split(" + ")]
        assert sum(math.prod(map(int, term)) for term in terms) == weight.each


def test_sizes_on_disk_and_in_training():
    shown = inspect_parameters(preset("gpt2"))
    assert shown.disk_bytes == {"fp32": 497_759_232, "bf16": 248_879_616, "int8": 124_439_808}
    assert sum(shown.training_bytes.values()) == 16 * 124_439_808


def test_the_lesson_counts_61_and_explains_124_and_117_million():
    text = "\n".join(lesson())
    assert "together 61 parameters" in text
    assert "10 inputs x 5 outputs + 5 biases = 55" in text
    assert "124,439,808" in text
    assert "117M" in text
    assert "116,534,784" in text


@pytest.mark.parametrize("name", ["gpt2-tiny", "gpt3-tiny", "llama2-tiny", "palm-tiny", "bloom-tiny"])
def test_names_shapes_and_total_are_those_of_the_built_model(name):
    torch = pytest.importorskip("torch")
    from llmforge.model.transformer import Transformer

    with torch.device("meta"):
        model = Transformer(preset(name))
    inspected = inspect_parameters(preset(name))
    assert sum(parameter.numel() for parameter in model.parameters()) == inspected.count.total
    parameters = dict(model.named_parameters())
    for weight in inspected.weights:
        module = weight.name.replace("*", "0")
        held = [parameters[key].numel() for key in (f"{module}.weight", f"{module}.bias") if key in parameters]
        assert sum(held) == weight.each, weight.name


@pytest.mark.slow
@pytest.mark.parametrize("name", PRESETS)
def test_every_presets_total_is_that_of_the_built_model(name):
    torch = pytest.importorskip("torch")
    from llmforge.model.transformer import Transformer

    with torch.device("meta"):
        model = Transformer(preset(name))
    assert sum(parameter.numel() for parameter in model.parameters()) == inspect_parameters(preset(name)).count.total
