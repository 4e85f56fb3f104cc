"""A fitted law as pictures: predicted against measured, isoFLOP profiles, the loss surface with the runs on it."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from llmforge.plan_scaling.fit import Fit
from llmforge.plan_scaling.isoflop import same_budgets
from llmforge.plan_scaling.runs_table import Run
from llmforge.report.figures import COLOURS, GREY, check_matplotlib, legend, plot


def plot_fit(fit: Fit, runs: Sequence[Run], folder: Path) -> list[Path]:
    """Draw a fit with the runs it was made from.

    Args:
        fit: the law, with its intervals.
        runs: on fresh data.
        folder: where the PNG files go.

    Returns: the files; profiles are left out where no budget has four sizes.
    Raises: MachineError if matplotlib is not installed.
    """
    check_matplotlib()
    files = [_plot_errors(fit, runs, folder / "fit-errors.png"), _plot_surface(fit, runs, folder / "fit-surface.png")]
    return files if fit.isoflop is None else [*files, _plot_profiles(fit, runs, folder / "fit-isoflop.png")]


def _plot_errors(fit: Fit, runs: Sequence[Run], path: Path) -> Path:
    """Error of every run over its compute: a slope or an outlier is seen here first."""
    errors = [100 * (fit.law.loss(run.params, run.tokens) / run.loss - 1) for run in runs]
    title = f"Predicted loss against measured: {fit.median_error:.2%} off in the median"
    with plot(path, title, "training FLOPs", "predicted / measured - 1 (%)") as axes:
        axes.axhline(0, color=GREY, linewidth=1)
        axes.plot([run.flops for run in runs], errors, "o", markersize=4, alpha=0.7, color=COLOURS[0])
        held_out = (
            f"the largest {fit.held_out.num_runs:,}, predicted from the others: {fit.held_out.mean_error:.2%} off"
        )
        axes.axvline(fit.held_out.min_flops, color=COLOURS[1], linestyle="--", label=held_out)
        axes.set_xscale("log")
        legend(axes, loc="best")
    return path


def _plot_profiles(fit: Fit, runs: Sequence[Run], path: Path) -> Path:
    """Losses of each budget over size, the fitted law through them, and the parabolas' minima."""
    profiles = {one.flops: one for one in fit.isoflop.profiles} if fit.isoflop else {}
    with plot(path, "Loss at equal compute", "parameters", "loss (nats per token)", inches=(10.0, 5.5)) as axes:
        for place, group in enumerate(same_budgets(runs)):
            flops, colour = group.flops, COLOURS[place % len(COLOURS)]
            sizes = np.array([run.params for run in group.runs])
            axes.plot(sizes, [run.loss for run in group.runs], "o", color=colour, label=f"{flops:.3g} FLOPs")
            params = np.geomspace(sizes.min() / 1.5, sizes.max() * 1.5, 80)
            axes.plot(params, [fit.law.loss(size, flops / (6 * size)) for size in params], color=colour, linewidth=1)
            best = profiles[flops].params
            if best is not None:
                axes.axvline(best, ymax=0.04, color=colour, linewidth=3)
        axes.plot([], [], color=GREY, linewidth=1, label="the fitted law")
        axes.plot([], [], color=GREY, linewidth=3, label="below: minima of parabolas")
        axes.set_xscale("log")
        legend(axes, loc="center left", bbox_to_anchor=(1.0, 0.5))
    return path


def _plot_surface(fit: Fit, runs: Sequence[Run], path: Path) -> Path:
    """The fitted loss over size and tokens, with the runs, and the interval of the optimum at the target budget."""
    budget, best = fit.budget_flops, fit.tokens_per_param
    ratios = [] if best is None else sorted((best, *fit.intervals.get("tokens_per_param", ())))
    chosen = [np.sqrt(budget / (6 * ratio)) for ratio in ratios]
    all_params = [*(run.params for run in runs), *chosen]
    all_tokens = [*(run.tokens for run in runs), *(budget / (6 * size) for size in chosen)]
    params = np.geomspace(min(all_params) / 2, max(all_params) * 2, 160)
    tokens = np.geomspace(min(all_tokens) / 2, max(all_tokens) * 2, 160)
    law, grid = fit.law, np.meshgrid(params, tokens)
    losses = law.E + law.A * grid[0] ** -law.alpha + law.B * grid[1] ** -law.beta
    with plot(path, "Fitted loss, nats per token", "parameters", "training tokens", inches=(10.0, 5.5)) as axes:
        lines = axes.contour(params, tokens, losses, levels=14, colors=GREY, linewidths=0.8)
        axes.clabel(lines, fontsize=7, fmt="%.2f")
        axes.plot([run.params for run in runs], [run.tokens for run in runs], "o", markersize=4, label="runs")
        axes.plot(params, budget / (6 * params), color=COLOURS[1], linewidth=1, label=f"{budget:.3g} FLOPs")
        if ratios:
            interval = np.geomspace(chosen[-1], chosen[0], 40)
            text = f"optimum: {ratios[0]:.3g} to {ratios[-1]:.3g} tokens per parameter"
            axes.plot(interval, budget / (6 * interval), color=COLOURS[4], linewidth=7, alpha=0.5, label=text)
        axes.set(xscale="log", yscale="log", xlim=(params[0], params[-1]), ylim=(tokens[0], tokens[-1]))
        legend(axes, loc="center left", bbox_to_anchor=(1.0, 0.5))
    return path
