"""A fitted law as rows of text: name, value, unit and reason."""

from llmforge.plan_scaling.fit import Fit
from llmforge.plan_scaling.fit_repeated import HalfLives
from llmforge.plan_scaling.rows import Row


def describe_fit(fit: Fit) -> list[Row]:
    """The parameters with their intervals, how well they fit, and what they recommend."""
    return [
        *(Row(name, f"{value:.4g}", _unit(name), _interval(fit, name)) for name, value in fit.params.items()),
        Row(
            "optimal size grows with",
            "undefined" if fit.exponent is None else f"compute^{fit.exponent:.3f}",
            "",
            _interval(fit, "exponent"),
        ),
        Row(
            "tokens per parameter",
            _ratio(fit.tokens_per_param),
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
                _ratio(one.tokens_per_param),
                "tokens per parameter",
                f"E {one.E:.4g}, alpha {one.alpha:.4g}, beta {one.beta:.4g}",
            )
            for one in fit.sensitivity
        ),
        *_isoflop_rows(fit),
    ]


def _isoflop_rows(fit: Fit) -> list[Row]:
    """Approach 2 beside the fit: its exponent and tokens per parameter, and the best size of every budget."""
    if fit.isoflop is None:
        return [Row("isoFLOP profiles", "none", "", "no budget has four sizes, within 15 % of its compute")]
    rows = []
    ratio = fit.isoflop.tokens_per_param(fit.budget_flops)
    if ratio is not None:
        reason = f"size grows with compute^{fit.isoflop.exponent:.3f}; biased where the exponents differ"
        rows.append(Row("isoFLOP profiles", f"{ratio:,.1f}", "tokens per parameter", reason))
    for one in fit.isoflop.profiles:
        best = "no minimum" if one.params is None else f"{one.params:.3g}"
        unit = "" if one.params is None else "parameters"
        rows.append(Row(f"isoFLOP {one.flops:.3g}", best, unit, f"parabola through {one.num_runs} runs"))
    return rows


def _ratio(tokens_per_param: float | None) -> str:
    """Undefined where a power is not positive: such a law has no optimum."""
    return "undefined" if tokens_per_param is None else f"{tokens_per_param:,.1f}"


def _unit(name: str) -> str:
    return "nats per token" if name == "E" else ""


def _interval(fit: Fit, name: str) -> str:
    if name not in fit.intervals:
        return "no interval: no resample has positive exponents"
    low, high = fit.intervals[name]
    return f"{low:.4g} to {high:.4g}, 10th to 90th percentile of {fit.num_resamples:,} resamples"


def describe_half_lives(found: HalfLives) -> list[Row]:
    """What repetition is worth: both half-lives, and their objective beside the published pair's."""
    intervals = {name: f"{low:.3g} to {high:.3g}, bootstrap" for name, (low, high) in found.intervals.items()}
    published = f"of the published pair on these runs: {found.published_objective:.6g}"
    return [
        Row("half-life of tokens", f"{found.tokens:.4g}", "repetitions", intervals["tokens"]),
        Row("half-life of parameters", f"{found.params:.4g}", "repetitions", intervals["params"]),
        Row("objective of the half-lives", f"{found.objective:.6g}", "", published),
    ]
