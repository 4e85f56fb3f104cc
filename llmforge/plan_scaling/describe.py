"""A plan as rows of text: name, value, unit and reason."""

from llmforge.plan_scaling.answers import LawAnswer
from llmforge.plan_scaling.plan import Plan, Recommendation
from llmforge.plan_scaling.rows import Row

_ASKED = {
    "budget_flops": ("a compute budget", "FLOPs"),
    "params": ("a model size", "parameters"),
    "tokens": ("a number of training tokens", "tokens"),
    "model": ("the configured model", "parameters"),
    "tokens_at_hand": ("the tokens at hand", "tokens"),
}


def describe_plan(plan: Plan) -> list[Row]:
    """The question, the recommended run and its costs, one row each."""
    asked, unit = _ASKED[plan.question.kind]
    return [
        Row("planned from", f"{plan.question.value:,.4g}", unit, asked),
        *_model_rows(plan),
        *_run_rows(plan.recommended, plan.assumptions),
        *_cost_rows(plan),
        *_region_rows(plan),
    ]


def _model_rows(plan: Plan) -> list[Row]:
    recommended, count = plan.recommended, plan.parameters
    shape = ", ".join(f"{name} {value}" for name, value in recommended.model.items())
    return [
        Row("model", shape, "", plan.assumptions["model"]),
        Row("parameters", f"{recommended.params:,}", "", plan.assumptions["counting_rule"]),
        Row(
            "without embeddings",
            f"{count['without_embeddings']:,}",
            "",
            "token and position tables, untied head left out",
        ),
    ]


def _run_rows(recommended: Recommendation, assumptions: dict[str, object]) -> list[Row]:
    epochs = "unknown" if recommended.epochs is None else f"{recommended.epochs:,.2f}"
    at_hand = assumptions["tokens_at_hand"]
    data = "no tokens at hand" if at_hand is None else f"over the {at_hand:,} tokens at hand"
    return [
        Row("training tokens", f"{recommended.tokens:,}", "tokens", f"{recommended.tokens_per_param:,.1f} a parameter"),
        Row("epochs", epochs, "", data),
        Row("global batch", f"{recommended.global_batch_tokens:,}", "tokens", str(assumptions["batch"])),
        Row(
            "steps",
            f"{recommended.steps:,}",
            "",
            f"{recommended.sequences:,} sequences of {recommended.context:,} tokens",
        ),
        Row("learning rate", f"{recommended.lr:g}", "", str(assumptions["lr"])),
    ]


def _cost_rows(plan: Plan) -> list[Row]:
    recommended, assumptions = plan.recommended, plan.assumptions
    return [
        Row("compute", f"{recommended.flops:.3g}", "FLOPs", assumptions["flops"]),
        Row("compute, layer by layer", f"{recommended.flops_by_layer:.3g}", "FLOPs", assumptions["flops_by_layer"]),
        _hours_row(plan),
        *_memory_rows(plan),
        _loss_row(recommended, assumptions),
    ]


def _region_rows(plan: Plan) -> list[Row]:
    region = plan.region
    if region is None:
        return []
    found = region.valley
    share = f"loss within {found.tolerance:.1%} of the best at {region.flops:.3g} FLOPs"
    return [
        Row("sizes, by law", f"{region.laws_low:.3g} to {region.laws_high:.3g}", "parameters", "the laws' interval"),
        Row("sizes, by loss", f"{found.low:.3g} to {found.high:.3g}", "parameters", share),
        Row("shapes, by loss", f"{len(region.shapes):,}", "shapes", "legal ones in that range; plan.json lists them"),
    ]


def _hours_row(plan: Plan) -> Row:
    hours, assumptions = plan.recommended.hours, plan.assumptions
    if hours is None:
        return Row("time", "unknown", "", "set plan_scaling.device_flops_per_s to the peak of a device")
    reason = (
        f"{assumptions['num_devices']:,} devices of {assumptions['device_flops_per_s']:.3g} FLOPs/s at "
        f"{assumptions['utilization']:.0%} of it"
    )
    return Row("time", f"{hours:,.3g}", "hours", reason)


def _memory_rows(plan: Plan) -> list[Row]:
    rows = [
        Row(f"memory, {name}", f"{memory['total'] / 2**30:,.2f}", "GiB a rank", _memory_parts(memory))
        for name, memory in plan.memory.items()
    ]
    strategy = plan.recommended.strategy
    if strategy is not None:
        rows.append(Row("strategy", strategy, "", "the cheapest that fits into the memory of a device"))
    return [*rows, Row("memory counts", "", "", plan.assumptions["memory"])]


def _memory_parts(memory: dict[str, int]) -> str:
    return ", ".join(f"{name} {size / 2**30:,.2f}" for name, size in memory.items() if size and name != "total")


def _loss_row(recommended: Recommendation, assumptions: dict[str, object]) -> Row:
    if recommended.predicted_loss is None:
        return Row("predicted loss", "unknown", "", "too far below the runs that the law was fitted on")
    bits = recommended.predicted_bits_per_byte
    unit = "nats per token" if bits is None else f"nats per token, {bits:.3f} bits per byte"
    return Row("predicted loss", f"{recommended.predicted_loss:.3f}", unit, str(assumptions["loss"]))


def describe_law(answer: LawAnswer) -> Row:
    """One law's answer as a row: parameters and tokens, and what to know of it."""
    about = "; ".join(part for part in (answer.counts, answer.note, answer.source) if part)
    if answer.params is None or answer.tokens is None:
        return Row(answer.name, "no answer", "", about)
    value = f"{answer.params:.3g} on {answer.tokens:.3g}"
    return Row(answer.name, value, f"parameters on tokens, {answer.tokens_per_param:,.1f} each", about)
