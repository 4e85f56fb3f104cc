"""A plan as pictures: isoFLOP curves, the loss surface with the region, memory by strategy."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from llmforge.plan_scaling.laws import FITTED_FLOPS, REPLICATION, TOKENS_PER_PARAM
from llmforge.report.figures import COLOURS, GREY, check_matplotlib, legend, plot

_BUDGETS_APART, _NUM_BUDGETS = 10.0, 5
_SPAN = 30.0
_WIDE = (10.0, 5.5)
_OUTSIDE = {"loc": "center left", "bbox_to_anchor": (1.0, 0.5)}
_GIB = 2**30
_PARTS = ("weights", "gradients", "optimizer", "activations", "loss", "buffers")

Sizes = NDArray[np.float64]


def plot_plan(plan: dict[str, Any], folder: Path) -> list[Path]:
    """Draw a plan.

    Args:
        plan: as plan.json has it.
        folder: where the PNG files go.

    Returns: the files; loss is left out where the plan predicts none.
    Raises: MachineError if matplotlib is not installed.
    """
    check_matplotlib()
    files = [_plot_memory(plan, folder / "memory.png")]
    if plan["region"] is not None:
        files += [_plot_isoflops(plan, folder / "isoflop.png"), _plot_surface(plan, folder / "loss-surface.png")]
    return files


def _loss(params: Sizes, tokens: Sizes) -> Sizes:
    law = REPLICATION
    return np.asarray(law.E + law.A * params**-law.alpha + law.B * tokens**-law.beta)


def _plot_isoflops(plan: dict[str, Any], path: Path) -> Path:
    """Loss over size at the plan's budget and around it: how flat each valley is, and where the laws would stand."""
    region, chosen = plan["region"], plan["recommended"]
    title = f"Loss at equal compute; law: {REPLICATION.name}"
    with plot(path, title, "parameters", "predicted loss (nats per token)", inches=_WIDE) as axes:
        for place in range(_NUM_BUDGETS):
            flops = region["flops"] * _BUDGETS_APART ** (place - _NUM_BUDGETS // 2)
            best = np.sqrt(flops / 120)
            params = np.geomspace(best / 12, best * 12, 200)
            is_plan = place == _NUM_BUDGETS // 2
            outside = "" if FITTED_FLOPS[0] <= flops <= FITTED_FLOPS[1] else "\n(extrapolated)"
            style = {"color": COLOURS[0], "linewidth": 2.2} if is_plan else {"color": GREY, "linewidth": 1}
            losses = _loss(params, flops / (6 * params))
            axes.plot(params, losses, **style)
            axes.annotate(f" {flops:.3g} FLOPs{outside}", (params[-1], losses[-1]), fontsize=8, va="center")
        valley = region["valley"]
        inside = np.geomspace(valley["low"], valley["high"], 60)
        losses, share = _loss(inside, region["flops"] / (6 * inside)), f"within {valley['tolerance']:.1%} of the best"
        axes.plot(inside, losses, color=COLOURS[4], linewidth=7, alpha=0.5, label=share)
        _mark_laws(axes, plan, lambda answer: answer["predicted_loss"])
        _mark_plan(axes, chosen["params"], REPLICATION.loss(chosen["params"], chosen["tokens"]))
        axes.set_xscale("log")
        axes.margins(x=0.12)
        legend(axes, **_OUTSIDE)
    return path


def _mark_plan(axes: Any, x: float, y: float) -> None:
    axes.plot(x, y, "*", markersize=22, fillstyle="none", color="#000000", linestyle="none", label="this plan")


def _mark_laws(axes: Any, plan: dict[str, Any], height: Any) -> None:
    """A mark where each law would spend the budget."""
    marks = "osD^vP<>X"
    answers = [answer for answer in plan["laws"] if answer["params"] and height(answer)]
    for place, answer in enumerate(answers):
        style = {"marker": marks[place % len(marks)], "color": COLOURS[place % len(COLOURS)], "linestyle": "none"}
        axes.plot(answer["params"], height(answer), markersize=6, fillstyle="none", label=answer["name"], **style)


def _plot_surface(plan: dict[str, Any], path: Path) -> Path:
    """Loss over size and tokens, the plan's budget across it, and on it the valley and the laws' answers."""
    region, chosen = plan["region"], plan["recommended"]
    flops, valley = region["flops"], region["valley"]
    params = np.geomspace(chosen["params"] / _SPAN, chosen["params"] * _SPAN, 160)
    tokens = np.geomspace(chosen["tokens"] / _SPAN, chosen["tokens"] * _SPAN, 160)
    grid_params, grid_tokens = np.meshgrid(params, tokens)
    title = f"Predicted loss, nats per token; law: {REPLICATION.name}"
    with plot(path, title, "parameters", "training tokens", inches=_WIDE) as axes:
        lines = axes.contour(params, tokens, _loss(grid_params, grid_tokens), levels=14, colors=GREY, linewidths=0.8)
        axes.clabel(lines, fontsize=7, fmt="%.2f")
        axes.plot(params, flops / (6 * params), color=COLOURS[0], label=f"{flops:.3g} FLOPs")
        inside = np.geomspace(valley["low"], valley["high"], 50)
        share = f"loss within {valley['tolerance']:.1%} of the best"
        axes.plot(inside, flops / (6 * inside), color=COLOURS[4], linewidth=7, alpha=0.5, label=share)
        axes.plot(params, TOKENS_PER_PARAM * params, "--", color=COLOURS[2], linewidth=1)
        _mark_laws(axes, plan, lambda answer: answer["tokens"])
        _mark_plan(axes, chosen["params"], chosen["tokens"])
        axes.set(xscale="log", yscale="log", xlim=(params[0], params[-1]), ylim=(tokens[0], tokens[-1]))
        legend(axes, **_OUTSIDE)
    return path


def _plot_memory(plan: dict[str, Any], path: Path) -> Path:
    """Memory of the fullest rank, a bar for each strategy, by what it holds, against the device's memory."""
    memory, limit = plan["memory"], plan["assumptions"]["device_memory_bytes"]
    names = list(memory)[::-1]
    height = 1.2 + 0.32 * len(names)
    with plot(path, "Memory of the fullest rank", "GiB", "", inches=(8.0, height)) as axes:
        start = np.zeros(len(names))
        for place, part in enumerate(_PARTS):
            sizes = np.array([memory[name][part] for name in names]) / _GIB
            axes.barh(names, sizes, left=start, color=COLOURS[place], label=part, height=0.7)
            start += sizes
        for name, total in zip(names, start, strict=True):
            axes.annotate(f" {total:,.3g}", (total, name), va="center", fontsize=8)
        if limit is not None:
            axes.axvline(limit / _GIB, color="#000000", linestyle="--", label=f"the device: {limit / _GIB:,.3g} GiB")
        axes.margins(x=0.1)
        legend(axes, loc="lower center", bbox_to_anchor=(0.5, 1.06), ncols=len(_PARTS) + 1)
    return path
