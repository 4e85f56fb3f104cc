"""A fitted law as rows of text: name, value, unit and reason."""

from llmforge.plan_scaling.fit import Fit
from llmforge.plan_scaling.rows import Row


def describe_fit(fit: Fit) -> list[Row]:
    """The parameters with their intervals, how well they fit, and what they recommend."""
    return [
        *(Row(name, f"{value:.4g}", _unit(name), _interval(fit, name)) for name, value in fit.params.items()),
        Row("optimal size grows with", f"compute^{fit.exponent:.3f}", "", _interval(fit, "exponent")),
        Row(
            "tokens per parameter",
            f"{fit.tokens_per_param:,.1f}",
            f"at {fit.budget_flops:.3g} FLOPs",
            _interval(fit, "tokens_per_param"),
        ),
        Row(
            "objective",
            f"{fit.objective:.6g}",
            "",
            f"Huber loss, delta {fit.delta:g}, summed over {fit.num_runs:,} runs",
        ),
        Row("starts", f"{fit.num_starts:,}", "", f"{fit.starts_at_best:,} of the last round reached the best fit"),
        Row("error on the fitted runs", f"{fit.median_error:.2%}", "of the loss", "median"),
        Row(
            "error on larger runs",
            f"{fit.held_out.mean_error:.2%}",
            "of the loss",
            f"{fit.held_out.num_runs:,} runs from {fit.held_out.min_flops:.3g} FLOPs on, predicted from the others; "
            f"at most {fit.held_out.max_error:.2%}",
        ),
        *(
            Row(
                one.name,
                "undefined" if one.tokens_per_param is None else f"{one.tokens_per_param:,.1f}",
                "tokens per parameter",
                f"E {one.E:.4g}, alpha {one.alpha:.4g}, beta {one.beta:.4g}",
            )
            for one in fit.sensitivity
        ),
    ]


def _unit(name: str) -> str:
    return "nats per token" if name == "E" else ""


def _interval(fit: Fit, name: str) -> str:
    if name not in fit.intervals:
        return "no interval: no resample has positive exponents"
    low, high = fit.intervals[name]
    return f"{low:.4g} to {high:.4g}, 10th to 90th percentile of {fit.num_resamples:,} resamples"
