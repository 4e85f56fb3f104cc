"""What a plan is asked: a budget, a size, a number of tokens, the configured model, or the tokens at hand.

A budget may be FLOPs, device hours or money; the last two become FLOPs with the device, its use and its price.
"""

from dataclasses import dataclass
from typing import Literal

from llmforge.arch.params import count_parameters
from llmforge.arch.presets import resolve_architecture
from llmforge.config.plan_scaling import PlanScalingSection
from llmforge.config.schema import Settings
from llmforge.core.errors import SettingsError
from llmforge.plan_scaling.laws import TOKENS_PER_PARAM, TWENTY
from llmforge.plan_scaling.shapes import Shape, nearest_shape
from llmforge.plan_scaling.utilization import choose_utilization

Kind = Literal["budget_flops", "budget_gpu_hours", "budget_money", "params", "tokens", "model", "tokens_at_hand"]
_ASKED: tuple[Kind, ...] = ("budget_flops", "budget_gpu_hours", "budget_money", "params", "tokens")


@dataclass(frozen=True)
class Question:
    """What the plan starts from, and its value: FLOPs, hours, money, parameters or tokens.

    `flops` is the budget, where a budget is asked for.
    """

    kind: Kind
    value: float
    flops: float | None = None


def find_question(settings: Settings, tokens_at_hand: int | None, vocab_size: int) -> Question:
    """The question that the settings ask.

    Raises: SettingsError if they ask two at once, or none, or for hours or money without a device or a price.
    """
    section, configured = settings.plan_scaling, settings.model.is_chosen
    asked = _asked(section)
    params = count_parameters(resolve_architecture(settings.model, vocab_size)).total if configured else None
    if "params" in asked and configured:
        raise SettingsError(
            f"plan_scaling.params = {section.params:,} asks for a size, but the model section sets one already",
            "leave plan_scaling.params null, or remove preset and sizes from the model section",
        )
    for kind, value in asked.items():
        return Question(kind, value, _budget(section, kind, value, params))
    if params is not None:
        return Question("model", params)
    if tokens_at_hand is None:
        raise SettingsError(
            "nothing to plan from: no budget, no size, no model, and no tokens at hand",
            "set plan_scaling.budget_flops, plan_scaling.params or plan_scaling.tokens, or run `llmforge tokenize`",
        )
    return Question("tokens_at_hand", tokens_at_hand)


def _asked(section: PlanScalingSection) -> dict[Kind, float]:
    values: dict[Kind, float] = {name: getattr(section, name) for name in _ASKED if getattr(section, name) is not None}
    if len(values) > 1:
        shown = " and ".join(f"plan_scaling.{name} = {value:g}" for name, value in values.items())
        raise SettingsError(f"{shown}: one of them decides the other", "set one and leave the others null")
    return values


def _budget(section: PlanScalingSection, kind: Kind, value: float, params: int | None) -> float | None:
    """The budget in FLOPs; None where the question is no budget.

    How well a device is used depends on the model's size, and that on the budget: three rounds settle it.
    """
    if kind == "budget_flops" or not kind.startswith("budget"):
        return value if kind == "budget_flops" else None
    peak = section.device_flops_per_s
    if peak is None:
        raise SettingsError(
            f"plan_scaling.{kind} = {value:g}, but no device says what an hour of it is worth",
            "set plan_scaling.device, or plan_scaling.device_flops_per_s to the peak of a device",
        )
    seconds = 3600 * (value if kind == "budget_gpu_hours" else value / _price(section))
    flops = seconds * peak
    for _ in range(3):
        flops = seconds * peak * choose_utilization(section, params or TWENTY.params(flops)).value
    return flops


def _price(section: PlanScalingSection) -> float:
    if section.price_per_device_hour is None:
        raise SettingsError(
            f"plan_scaling.budget_money = {section.budget_money:g}, but no price says how many hours it buys",
            "set plan_scaling.price_per_device_hour",
        )
    return section.price_per_device_hour


def choose_shape(settings: Settings, question: Question, tokens_at_hand: int | None, vocab_size: int) -> Shape:
    """The configured model, or the legal shape that is nearest to the size that 20 tokens per parameter ask for.

    Raises: SettingsError if no shape has half to twice the size that a budget or a size asks for.
    """
    if settings.model.is_chosen:
        arch = resolve_architecture(settings.model, vocab_size)
        return Shape(settings.model, arch, count_parameters(arch).total)
    wanted = _wanted_params(question)
    shape = nearest_shape(settings.model, vocab_size, wanted)
    if question.kind == "tokens_at_hand":  # few tokens are no mistake: the smallest shape then repeats them
        return shape
    if not 0.5 <= shape.params / wanted <= 2:
        raise _no_shape(question, wanted, shape, vocab_size)
    if question.flops is not None and tokens_at_hand is not None:
        supported = settings.plan_scaling.max_epochs * tokens_at_hand / TOKENS_PER_PARAM
        return nearest_shape(settings.model, vocab_size, min(wanted, supported))
    return shape


def _wanted_params(question: Question) -> float:
    if question.flops is not None:
        return TWENTY.params(question.flops)
    return question.value if question.kind == "params" else question.value / TOKENS_PER_PARAM


def _no_shape(question: Question, wanted: float, nearest: Shape, vocab_size: int) -> SettingsError:
    legal: float = nearest.params if question.kind == "params" else TOKENS_PER_PARAM * nearest.params
    if question.flops is not None:
        legal = question.value * TWENTY.flops_for_params(nearest.params) / question.flops
    return SettingsError(
        f"plan_scaling.{question.kind} = {question.value:g} asks for a model of {wanted:,.0f} parameters; with a "
        f"vocabulary of {vocab_size:,} the nearest legal shape has {nearest.params:,}",
        f"the nearest value that a model answers is plan_scaling.{question.kind}={legal:.3g}",
    )
