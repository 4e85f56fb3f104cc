"""Times a plan, and the fit of a law with 4,500 starts and 1,000 bootstrap resamples.

    python scripts/bench_plan.py [--runs 250]

The runs are drawn around a known law with noise, so that no file is needed.
"""

import argparse
import math
import subprocess
import sys
import time

import numpy as np

from llmforge.core.hardware import num_cores
from llmforge.plan_scaling.fit import fit_law
from llmforge.plan_scaling.laws import REPLICATION
from llmforge.plan_scaling.runs_table import Run

QUESTION = ("plan-scaling", "--set", "plan_scaling.budget_flops=1e20", "--dry-run")


def main() -> None:
    """Print one line for each measurement."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=250)
    asked = parser.parse_args()
    time_plan()
    time_fit(asked.runs)


def time_plan() -> None:
    """The command from its start to its end, imports and all; the best of five, as other work only adds to it."""
    seconds = []
    for _ in range(5):
        start_s = time.perf_counter()
        subprocess.run([sys.executable, "-m", "llmforge", *QUESTION], check=True, stdout=subprocess.DEVNULL)
        seconds.append(time.perf_counter() - start_s)
    print(f"plan   {min(seconds):6.2f} s  best of {len(seconds)}, the whole command")


def time_fit(num_runs: int) -> None:
    """A whole fit, its checks included."""
    runs = draw_runs(num_runs)
    start_s, start_cpu_s = time.perf_counter(), time.process_time()
    fit = fit_law(runs, seed=1)
    wall_s, cpu_s = time.perf_counter() - start_s, time.process_time() - start_cpu_s
    print(
        f"fit    {wall_s:6.2f} s  {cpu_s:.2f} s of CPU on {num_cores()} cores: {fit.num_runs} runs, "
        f"{fit.num_starts:,} starts, {fit.num_resamples:,} resamples; objective {fit.objective:.6g}"
    )


def draw_runs(count: int) -> list[Run]:
    """Runs of sizes and budgets as in Hoffmann et al. 2022, with Laplace noise of half a per cent on the loss."""
    random = np.random.default_rng(0)
    params = np.exp(random.uniform(math.log(5e7), math.log(1.6e10), count))
    tokens = np.exp(random.uniform(math.log(1.4e18), math.log(1.3e22), count)) / (6 * params)
    noise = np.exp(random.laplace(0, 0.005, count))
    return [
        Run(float(n), float(d), REPLICATION.loss(float(n), float(d)) * float(e))
        for n, d, e in zip(params, tokens, noise, strict=True)
    ]


if __name__ == "__main__":
    main()
