"""What each law says to the question, side by side."""

from dataclasses import dataclass

from llmforge.arch.params import ParameterCount
from llmforge.plan_scaling.laws import LAWS, ComputeLaw, predict_loss
from llmforge.plan_scaling.question import Question

# A law that answers with fewer or more parameters is asked far outside the runs it comes from.
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


def ask_laws(question: Question, count: ParameterCount) -> tuple[LawAnswer, ...]:
    """Every law's answer to a question; of a configured model each law is asked about the parameters it counts."""
    return tuple(_answer(law, question, count) for law in LAWS)


def _answer(law: ComputeLaw, question: Question, count: ParameterCount) -> LawAnswer:
    flops = _flops(law, question, count)
    params, tokens = law.params(flops), law.tokens(flops)
    if not _SENSIBLE_PARAMS[0] <= params <= _SENSIBLE_PARAMS[1]:
        note = f"no answer: {params:.2g} parameters is far outside its runs"
        return LawAnswer(law.name, None, None, None, None, None, law.counts, law.source, note)
    loss = predict_loss(params, tokens)
    return LawAnswer(law.name, params, tokens, tokens / params, flops, loss, law.counts, law.source, law.note)


def _flops(law: ComputeLaw, question: Question, count: ParameterCount) -> float:
    """The budget at which the law's answer is the size or the tokens asked for."""
    if question.kind == "budget_flops":
        return question.value
    if question.kind in ("tokens", "tokens_at_hand"):
        return law.flops_for_tokens(question.value)
    if question.kind == "model" and law.counts != "all parameters":
        return law.flops_for_params(count.without_embeddings)
    return law.flops_for_params(question.value)
