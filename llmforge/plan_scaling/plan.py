"""From a budget, a size or the tokens at hand to a run: model, tokens, steps, FLOPs, memory, time and loss."""

import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from typing import Any

from llmforge.arch.flops import LAYER_RULE, SIX_ND_RULE, flops_per_token
from llmforge.arch.memory import Layout
from llmforge.arch.params import COUNTING_RULE, count_parameters
from llmforge.config.model import ModelSection
from llmforge.config.plan_scaling import PlanScalingSection
from llmforge.config.schema import Settings
from llmforge.plan_scaling.answers import LawAnswer, ask_laws
from llmforge.plan_scaling.batch import (
    BATCH_LAW,
    BATCH_LAW_PARAMS,
    LR_LAW,
    batch_for,
    learning_rate_for,
    micro_batch_for,
)
from llmforge.plan_scaling.laws import (
    FITTED_FLOPS,
    FITTED_PARAMS,
    REPLICATION,
    TOKENS_PER_PARAM,
    is_extrapolation,
    predict_loss,
)
from llmforge.plan_scaling.placement import cheapest_that_fits, deepspeed_estimates, place, precision_of
from llmforge.plan_scaling.question import Question, choose_shape, find_question
from llmforge.plan_scaling.region import Region, find_region
from llmforge.plan_scaling.repeated import effective_tokens
from llmforge.plan_scaling.shapes import Shape
from llmforge.plan_scaling.utilization import choose_utilization

# Repeating data up to 4 times is nearly as good as fresh data (Muennighoff et al. 2023).
_HARMLESS_EPOCHS = 4.0


@dataclass(frozen=True)
class Corpus:
    """What a plan knows of the data: unique training tokens and UTF-8 bytes per token, None where unknown."""

    tokens: int | None
    bytes_per_token: float | None
    vocab_size: int


@dataclass(frozen=True)
class Recommendation:
    """The run to do; tokens, steps and sequences are counts, `predicted_loss` is in nats per token.

    `device_hours` are `hours` times devices, and `cost` is them at their price. Null: `epochs` without tokens at
    hand, `hours` and `device_hours` without a device, `cost` without a price, `strategy` without a device's memory
    (or where none fits), losses far below what the law was fitted on.
    """

    model: dict[str, Any]
    params: int
    params_without_embeddings: int
    tokens: int
    tokens_per_param: float
    epochs: float | None
    context: int
    global_batch_tokens: int
    micro_batch_sequences: int
    sequences: int
    steps: int
    lr: float
    flops: float
    flops_by_layer: float
    hours: float | None
    device_hours: float | None
    cost: float | None
    predicted_loss: float | None
    predicted_bits_per_byte: float | None
    strategy: str | None = None


@dataclass(frozen=True)
class Plan:
    """The answer, with everything it rests on.

    Attributes:
        question: what was asked.
        recommended: the run.
        laws: what each law says, side by side.
        region: how wide the choice is; null where no loss can be predicted.
        parameters: the model's exact counts under each convention.
        memory: bytes of the fullest rank for each strategy, by what they hold.
        layouts: how each strategy spreads the run.
        left_out: why the other strategies cannot run on these devices.
        deepspeed_estimates: what DeepSpeed's estimators say of the states alone, for comparison.
        assumptions: rules and figures that the numbers follow.
        cautions: what to think about before spending.
    """

    question: Question
    recommended: Recommendation
    laws: tuple[LawAnswer, ...]
    region: Region | None
    parameters: dict[str, int]
    memory: dict[str, dict[str, int]]
    layouts: dict[str, Layout]
    left_out: dict[str, str]
    deepspeed_estimates: dict[str, dict[str, int]]
    assumptions: dict[str, Any]
    cautions: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """The plan as JSON values."""
        return asdict(self)


def make_plan(settings: Settings, tokens_at_hand: int | None, bytes_per_token: float | None, vocab_size: int) -> Plan:
    """Answer what to train, and on how much.

    Args:
        settings: `plan_scaling`, and `model` and `train` where the user chose a model.
        tokens_at_hand: unique training tokens; None if there are none yet.
        bytes_per_token: UTF-8 bytes that a token stands for; None if unknown.
        vocab_size: entries of the tokenizer (count).

    Raises: SettingsError if two questions are asked at once, or none, or one that no model can answer.
    """
    corpus = Corpus(tokens_at_hand, bytes_per_token, vocab_size)
    question = find_question(settings, tokens_at_hand, vocab_size)
    shape = choose_shape(settings, question, tokens_at_hand, vocab_size)
    wanted = _wanted_tokens(question, shape.params)
    limit = _most_tokens(settings.plan_scaling, question, corpus)
    recommended = _recommend(settings, shape, min(wanted, limit), corpus)
    passes = recommended.global_batch_tokens // (recommended.micro_batch_sequences * recommended.context)
    placed = place(shape.arch, recommended.micro_batch_sequences, passes, settings.plan_scaling)
    recommended = replace(recommended, strategy=cheapest_that_fits(placed.memory, settings.plan_scaling))
    count = count_parameters(shape.arch)
    laws = ask_laws(question, count, tokens_at_hand, settings.plan_scaling)
    return Plan(
        question=question,
        recommended=recommended,
        laws=laws,
        region=find_region(settings.model, recommended.flops, laws, vocab_size),
        parameters=asdict(count),
        memory={name: {**asdict(one), "total": one.total} for name, one in placed.memory.items()},
        layouts=placed.layouts,
        left_out=placed.left_out,
        deepspeed_estimates=deepspeed_estimates(shape.arch, settings.plan_scaling),
        assumptions=_assumptions(settings, recommended, corpus),
        cautions=(
            *_cautions(settings.plan_scaling, recommended, wanted, limit, corpus),
            *_rate_cautions(settings, recommended),
        ),
    )


def _wanted_tokens(question: Question, params: int) -> float:
    """Training tokens: those asked for, what the budget buys, or 20 a parameter."""
    if question.kind == "tokens":
        return question.value
    if question.flops is not None:
        return question.flops / (6 * params)
    return TOKENS_PER_PARAM * params


def _most_tokens(section: PlanScalingSection, question: Question, corpus: Corpus) -> float:
    """The epochs that the settings allow; tokens that were asked for by number are not limited."""
    if corpus.tokens is None or question.kind == "tokens":
        return math.inf
    return section.max_epochs * corpus.tokens


def _recommend(settings: Settings, shape: Shape, wanted_tokens: float, corpus: Corpus) -> Recommendation:
    """The run in whole steps: never more than the tokens wanted, unless one step is more."""
    count, context = count_parameters(shape.arch), shape.arch.context
    batch, lr = _batch_and_lr(settings, count.without_embeddings, wanted_tokens, context)
    steps = max(1, int(wanted_tokens // batch))
    tokens = steps * batch
    per_token = flops_per_token(shape.arch)
    worth = effective_tokens(tokens, corpus.tokens) if corpus.tokens else tokens
    loss = predict_loss(count.total, tokens, worth)
    device_hours = _device_hours(settings.plan_scaling, per_token.six_n * tokens, count.total)
    price = settings.plan_scaling.price_per_device_hour
    return Recommendation(
        model=_settings_of(shape.model),
        params=count.total,
        params_without_embeddings=count.without_embeddings,
        tokens=tokens,
        tokens_per_param=tokens / count.total,
        epochs=tokens / corpus.tokens if corpus.tokens else None,
        context=context,
        global_batch_tokens=batch,
        micro_batch_sequences=micro_batch_for(batch // settings.plan_scaling.num_devices, context),
        sequences=tokens // context,
        steps=steps,
        lr=lr,
        flops=per_token.six_n * tokens,
        flops_by_layer=per_token.by_layer * tokens,
        hours=None if device_hours is None else device_hours / settings.plan_scaling.num_devices,
        device_hours=device_hours,
        cost=None if device_hours is None or price is None else device_hours * price,
        predicted_loss=loss,
        predicted_bits_per_byte=loss / math.log(2) / corpus.bytes_per_token
        if loss and corpus.bytes_per_token
        else None,
    )


def _batch_and_lr(settings: Settings, params: int, tokens: float, context: int) -> tuple[int, float]:
    """Of a configured model what the settings say; else what fits the size and the tokens."""
    if settings.model.is_chosen:
        return settings.train.global_batch_tokens, settings.train.optimizer.lr
    return batch_for(tokens, context, settings.plan_scaling.num_devices), learning_rate_for(params, tokens)


def _settings_of(model: ModelSection) -> dict[str, Any]:
    """The model section with what differs from its defaults, and always the preset."""
    return {"preset": model.preset, **model.model_dump(mode="json", exclude_defaults=True)}


def _device_hours(section: PlanScalingSection, flops: float, params: int) -> float | None:
    if section.device_flops_per_s is None:
        return None
    return flops / (section.device_flops_per_s * choose_utilization(section, params).value) / 3600


def _assumptions(settings: Settings, recommended: Recommendation, corpus: Corpus) -> dict[str, Any]:
    section, configured = settings.plan_scaling, settings.model.is_chosen
    utilization = choose_utilization(section, recommended.params)
    return {
        "counting_rule": COUNTING_RULE,
        "flops": SIX_ND_RULE,
        "flops_by_layer": LAYER_RULE,
        "tokens_per_param": TOKENS_PER_PARAM,
        "model": "configured" if configured else "the legal shape nearest to 20 tokens per parameter",
        "batch": "train.global_batch_tokens, as configured"
        if configured
        else f"{BATCH_LAW}, as a power of two of sequences a device",
        "lr": "train.optimizer.lr, as configured" if configured else LR_LAW,
        "loss": f"{REPLICATION.name}, for that text and tokenizer; repeated tokens at their worth as fresh ones",
        "tokens_at_hand": corpus.tokens,
        "bytes_per_token": corpus.bytes_per_token,
        "vocab_size": corpus.vocab_size,
        "max_epochs": section.max_epochs,
        "device_flops_per_s": section.device_flops_per_s,
        "device_memory_bytes": section.device_memory_bytes,
        "num_devices": section.num_devices,
        "utilization": utilization.value,
        "utilization_reason": utilization.reason,
        "price_per_device_hour": section.price_per_device_hour,
        "memory": (
            f"AdamW, {precision_of(section)} matrix products, {recommended.micro_batch_sequences} sequences in one "
            "forward pass, gradients accumulated; the framework's own context not counted"
        ),
    }


def _cautions(
    section: PlanScalingSection, recommended: Recommendation, wanted: float, limit: float, corpus: Corpus
) -> list[str]:
    cautions = []
    if wanted > limit and corpus.tokens:
        cautions.append(
            f"{wanted:,.0f} tokens would be {wanted / corpus.tokens:,.1f} epochs over the {corpus.tokens:,} at hand; "
            f"stopped at plan_scaling.max_epochs = {section.max_epochs:g}: gather more text, take a smaller model, "
            "or raise it"
        )
    if recommended.epochs is not None and recommended.epochs > _HARMLESS_EPOCHS:
        cautions.append(
            f"{recommended.epochs:,.1f} epochs: beyond {_HARMLESS_EPOCHS:g}, a repeated token teaches ever less than a "
            "fresh one, and beyond 16 little (Muennighoff et al. 2023)"
        )
    if section.device_memory_bytes is not None and recommended.strategy is None:
        cautions.append(
            f"no strategy fits into plan_scaling.device_memory_bytes = {section.device_memory_bytes:,} on "
            f"{section.num_devices:,} devices: take more devices or a smaller model"
        )
    if recommended.predicted_loss is None:
        cautions.append("no loss is predicted: the run is over 100 times smaller than any that the law was fitted on")
    elif is_extrapolation(recommended.params, recommended.tokens):
        cautions.append(
            f"the predicted loss is an extrapolation: its law was fitted on {FITTED_PARAMS[0]:.2g} to "
            f"{FITTED_PARAMS[1]:.2g} parameters and {FITTED_FLOPS[0]:.2g} to {FITTED_FLOPS[1]:.2g} FLOPs"
        )
    return cautions


def _rate_cautions(settings: Settings, recommended: Recommendation) -> Iterator[str]:
    """Whether the law of batch and rate is asked outside the runs it comes from."""
    low, high = BATCH_LAW_PARAMS
    if not settings.model.is_chosen and not low <= recommended.params_without_embeddings <= high:
        yield (
            f"batch and learning rate are extrapolated: their law was fitted on {low:.2g} to {high:.2g} parameters "
            "without embeddings; a sweep over train.optimizer.lr tells more"
        )
