"""What each law says to the question, side by side."""

from dataclasses import dataclass, replace

from llmforge.arch.params import ParameterCount
from llmforge.config.plan_scaling import PlanScalingSection
from llmforge.plan_scaling.laws import (
    ALL_PARAMETERS,
    DEFAULT,
    LAWS,
    REPLICATION,
    TWENTY,
    ComputeLaw,
    LossLaw,
    frontier,
    predict_loss,
)
from llmforge.plan_scaling.question import Question
from llmforge.plan_scaling.repeated import optimal_repetition, repeated_loss
from llmforge.plan_scaling.serving import size_for_serving

# A law that answers with fewer or more parameters is asked far outside the runs it comes from; 20 a parameter is a
# rule of thumb, and comes from none.
_SENSIBLE_PARAMS = (1e4, 1e14)


@dataclass(frozen=True)
class LawAnswer:
    """What one law says; numbers are null where it is asked far outside the runs it comes from.

    `predicted_loss` (nats per token) is the replication's at this law's answer, so that answers can be compared.
    """

    name: str
    params: float | None
    tokens: float | None
    tokens_per_param: float | None
    flops: float | None
    predicted_loss: float | None
    counts: str
    source: str
    note: str


def ask_laws(
    question: Question, count: ParameterCount, tokens_at_hand: int | None, section: PlanScalingSection
) -> tuple[LawAnswer, ...]:
    """Every law's answer to a question.

    Args:
        question: of a configured model each law is asked about the parameters it counts.
        count: the parameters of the recommended model.
        tokens_at_hand: unique tokens, for the law of repeated data; None leaves that out.
        section: tokens to serve, for inference-aware sizing, and the user's own law, where it has them.
    """
    answers = [_answer(law, question, count) for law in LAWS]
    flops = _flops(DEFAULT, question, count)
    if tokens_at_hand is not None:
        answers.append(_repeated(flops, tokens_at_hand))
    if section.served_tokens is not None:
        answers.append(_served(flops, section.served_tokens))
    if (own := own_law(section)) is not None:
        answers.append(_own(own, question, count))
    return tuple(answers)


def _repeated(flops: float, unique: int) -> LawAnswer:
    params, tokens = optimal_repetition(flops, unique)
    note = f"on {unique:,} unique tokens: {tokens / unique:,.1f} epochs; its loss is its own"
    loss = None if predict_loss(params, tokens) is None else repeated_loss(params, tokens, unique)
    name, source = "repeated data", "Muennighoff et al. 2023"
    return LawAnswer(name, params, tokens, tokens / params, flops, loss, ALL_PARAMETERS, source, note)


def _served(flops: float, served_tokens: float) -> LawAnswer:
    """The model that reaches the loss of the budget's optimum and is cheapest with what it serves."""
    loss = REPLICATION.loss(DEFAULT.params(flops), DEFAULT.tokens(flops))
    best = size_for_serving(loss, served_tokens)
    note = f"training and {served_tokens:.3g} served tokens: {best.flops:.3g} FLOPs, for the loss of the replication"
    name, source, training = "inference-aware", "Sardana et al. 2024", 6 * best.params * best.tokens
    shown = predict_loss(best.params, best.tokens)
    ratio = best.tokens / best.params
    return LawAnswer(name, best.params, best.tokens, ratio, training, shown, ALL_PARAMETERS, source, note)


def own_law(section: PlanScalingSection) -> LossLaw | None:
    """The user's law, if there is one."""
    own = section.own_law
    return None if own is None else LossLaw("own fit", own.E, own.A, own.B, own.alpha, own.beta)


def _own(law: LossLaw, question: Question, count: ParameterCount) -> LawAnswer:
    """The user's law, with the loss that it predicts itself."""
    answer = _answer(frontier(law, "plan_scaling.own_law", "its loss is its own"), question, count)
    if answer.params is None or answer.tokens is None:
        return answer
    return replace(answer, predicted_loss=law.loss(answer.params, answer.tokens))


def _answer(law: ComputeLaw, question: Question, count: ParameterCount) -> LawAnswer:
    flops = _flops(law, question, count)
    params, tokens = law.params(flops), law.tokens(flops)
    if law is not TWENTY and not _SENSIBLE_PARAMS[0] <= params <= _SENSIBLE_PARAMS[1]:
        note = f"no answer: {params:.2g} parameters is far outside its runs"
        return LawAnswer(law.name, None, None, None, None, None, law.counts, law.source, note)
    loss = predict_loss(params, tokens)
    return LawAnswer(law.name, params, tokens, tokens / params, flops, loss, law.counts, law.source, law.note)


def _flops(law: ComputeLaw, question: Question, count: ParameterCount) -> float:
    """The budget at which the law's answer is the size or the tokens asked for."""
    if question.flops is not None:
        return question.flops
    if question.kind in ("tokens", "tokens_at_hand"):
        return law.flops_for_tokens(question.value)
    if question.kind == "model" and law.counts != ALL_PARAMETERS:
        return law.flops_for_params(count.without_embeddings)
    return law.flops_for_params(question.value)
