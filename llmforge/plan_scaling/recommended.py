"""`recommended.yaml`: the plan as settings that `llmforge train -c recommended.yaml` runs as they are."""

from pathlib import Path
from typing import Any

import yaml

from llmforge.config.run import RunSection
from llmforge.plan_scaling.plan import Plan

_HEADER = """\
# {params:,} parameters on {tokens:,} tokens: {steps:,} steps. See plan.json for the reasons.
# llmforge train -c recommended.yaml
"""


def to_settings(plan: Plan, run: RunSection) -> dict[str, Any]:
    """The plan as sections of the settings.

    An absolute `run.dir` is left out: artifacts name no place of one machine. Give it on the command line then.
    """
    run_section: dict[str, Any] = {"name": run.name, "seed": run.seed}
    if not Path(run.dir).is_absolute():
        run_section["dir"] = run.dir
    recommended = plan.recommended
    train = {
        "tokens": recommended.tokens,
        "global_batch_tokens": recommended.global_batch_tokens,
        "micro_batch_sequences": recommended.micro_batch_sequences,
        "optimizer": {"lr": recommended.lr},
    }
    return {"run": run_section, "model": recommended.model, "train": train}


def to_yaml(plan: Plan, run: RunSection) -> str:
    """The plan as YAML with a comment that says what it is."""
    values = plan.to_dict()["recommended"]
    return _HEADER.format(**values) + yaml.safe_dump(to_settings(plan, run), sort_keys=False)
