"""A plan as rows of text: name, value, unit and reason."""

from llmforge.arch.memory import Layout
from llmforge.plan_scaling.answers import LawAnswer
from llmforge.plan_scaling.plan import Plan, Recommendation
from llmforge.plan_scaling.rows import Row

_ASKED = {
    "budget_flops": ("a compute budget", "FLOPs"),
    "budget_gpu_hours": ("a budget of device hours", "hours"),
    "budget_money": ("a budget of money", ""),
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
    sizes = (f"{name} {value}" for name, value in recommended.model.items() if name != "preset")
    shape = ", ".join((recommended.model["preset"], *sizes))
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
        _price_row(plan),
        *_memory_rows(plan),
        _loss_row(recommended, assumptions),
    ]


def _region_rows(plan: Plan) -> list[Row]:
    region = plan.region
    if region is None:
        return []
    found = region.valley
    share = f"loss within {found.tolerance:.1%} of the best at {region.flops:.3g} FLOPs"
    by_law = Row(
        "sizes, by law", f"{region.laws_low:.3g} to {region.laws_high:.3g}", "parameters", "the laws' interval"
    )
    if plan.question.kind in ("params", "model") and plan.question.flops is None:
        tokens = f"{region.laws_low_tokens:.3g} to {region.laws_high_tokens:.3g}"
        by_law = Row("tokens, by law", tokens, "tokens", "the laws' interval for a model of this size")
    return [
        by_law,
        Row("sizes, by loss", f"{found.low:.3g} to {found.high:.3g}", "parameters", share),
        Row("shapes, by loss", f"{len(region.shapes):,}", "shapes", "legal ones in that range; plan.json lists them"),
    ]


def _hours_row(plan: Plan) -> Row:
    hours, assumptions = plan.recommended.hours, plan.assumptions
    if hours is None:
        return Row("time", "unknown", "", "set plan_scaling.device, or device_flops_per_s to the peak of a device")
    reason = (
        f"{assumptions['num_devices']:,} devices of {assumptions['device_flops_per_s']:.4g} FLOPs/s at "
        f"{assumptions['utilization']:.1%} of it: {assumptions['utilization_reason']}"
    )
    return Row("time", f"{hours:,.3g}", "hours", reason)


def _price_row(plan: Plan) -> Row:
    run, price = plan.recommended, plan.assumptions["price_per_device_hour"]
    if run.cost is None:
        return Row("cost", "unknown", "", "needs a device and plan_scaling.price_per_device_hour")
    return Row("cost", f"{run.cost:,.2f}", "", f"{run.device_hours:,.1f} device hours at {price:g} each")


def _memory_rows(plan: Plan) -> list[Row]:
    """The memory of the chosen strategy, or of one process where none was chosen."""
    strategy = plan.recommended.strategy
    name = strategy or next(iter(plan.memory))
    total = plan.memory[name]["total"]
    unit, size = _unit(total)
    rows = [Row("memory", f"{total / size:,.2f}", f"{unit} a rank, {name}", plan.assumptions["memory"])]
    if strategy is not None:
        rows.append(Row("strategy", strategy, "", "the cheapest that fits into the memory of a device"))
    return rows


def memory_table(plan: Plan) -> list[list[str]]:
    """Memory of the fullest rank by strategy and by what it holds; the first row is the header."""
    parts = [name for name in next(iter(plan.memory.values())) if name not in ("total", "host")]
    unit, size = _unit(max(memory["total"] for memory in plan.memory.values()))
    header = [f"memory a rank, {unit}", *parts, "total", "host memory", "spread over"]
    rows = [
        [name, *(f"{memory[part] / size:,.2f}" for part in (*parts, "total", "host")), _degrees(plan.layouts[name])]
        for name, memory in plan.memory.items()
    ]
    return [header, *rows]


def _unit(num_bytes: int) -> tuple[str, int]:
    """The unit in which a size has digits before the point, and its bytes."""
    return ("GiB", 2**30) if num_bytes >= 2**30 else ("MiB", 2**20)


def _degrees(layout: Layout) -> str:
    axes = ("replicate", "shard", "tensor", "pipeline")
    shown = " x ".join(f"{axis} {degree}" for axis in axes if (degree := getattr(layout, axis)) > 1)
    flight = f", micro-batches in flight: {layout.in_flight()}" if layout.pipeline > 1 else ""
    return f"{shown or 'one process'}{flight}"


def left_out_lines(plan: Plan) -> list[str]:
    """Strategies that the table of memory lacks, and why."""
    return [f"left out: {name}, as {reason}" for name, reason in plan.left_out.items()]


def _loss_row(recommended: Recommendation, assumptions: dict[str, object]) -> Row:
    if recommended.predicted_loss is None:
        return Row("predicted loss", "unknown", "", "too far below the runs that the law was fitted on")
    bits = recommended.predicted_bits_per_byte
    unit = "nats per token" if bits is None else f"nats per token, {bits:.3f} bits per byte"
    return Row("predicted loss", f"{recommended.predicted_loss:.3f}", unit, str(assumptions["loss"]))


def laws_table(plan: Plan) -> list[list[str]]:
    """What each law says, side by side; the first row is the header."""
    header = ["law", "parameters", "tokens", "each", "loss", "counts and caveats"]
    return [header, *(_law_cells(answer) for answer in plan.laws)]


def _law_cells(answer: LawAnswer) -> list[str]:
    about = "; ".join(part for part in (answer.counts, answer.note) if part)
    if answer.params is None or answer.tokens is None:
        return [answer.name, "-", "-", "-", "-", about]
    loss = "-" if answer.predicted_loss is None else f"{answer.predicted_loss:.3f}"
    return [answer.name, f"{answer.params:.3g}", f"{answer.tokens:.3g}", f"{answer.tokens_per_param:,.1f}", loss, about]
