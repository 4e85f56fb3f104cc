"""`recommended.yaml`: the plan as settings that `llmforge train -c recommended.yaml` runs as they are."""

from pathlib import Path
from typing import Any

import yaml

from llmforge.config.plan_scaling import DEVICES, PlanScalingSection
from llmforge.config.run import RunSection
from llmforge.config.schema import Settings
from llmforge.plan_scaling.plan import Plan

_HEADER = """\
# {params:,} parameters on {tokens:,} tokens: {steps:,} steps. See plan.json for the reasons.
# llmforge train -c recommended.yaml
"""
_MACHINE = ("device", "device_flops_per_s", "device_memory_bytes", "num_devices", "utilization")
# More devices than this are taken to stand in several machines.
_DEVICES_OF_A_MACHINE = 8
# What the second half of a strategy's name means for a training.
_VARIANTS: dict[str, dict[str, Any]] = {
    "": {},
    "recompute": {"parallel": {"activation_checkpointing": "full"}},
    "offload": {"zero": {"offload_optimizer": True}},
}


def to_settings(plan: Plan, settings: Settings) -> dict[str, Any]:
    """The plan as sections of the settings: run, model, batch and rate, and the devices with the strategy they need."""
    recommended = plan.recommended
    train = {
        "tokens": recommended.tokens,
        "global_batch_tokens": recommended.global_batch_tokens,
        "micro_batch_sequences": recommended.micro_batch_sequences,
        "optimizer": {"lr": recommended.lr},
        **_spread(recommended.strategy, settings.plan_scaling.num_devices),
    }
    machine = _machine(settings.plan_scaling)
    devices = {"plan_scaling": machine} if machine else {}
    return {"run": _run(settings.run), **devices, "model": recommended.model, "train": train}


def _run(run: RunSection) -> dict[str, Any]:
    """An absolute `run.dir` is left out: artifacts name no place of one machine. Give it on the command line then."""
    named: dict[str, Any] = {"name": run.name, "seed": run.seed}
    return named if Path(run.dir).is_absolute() else {**named, "dir": run.dir}


def _machine(section: PlanScalingSection) -> dict[str, Any]:
    """What the plan was told of the devices, so that training measures itself against them."""
    given = section.model_dump(include=set(_MACHINE), exclude_defaults=True)
    known = dict(zip(_MACHINE[1:3], DEVICES.get(section.device or "", ()), strict=False))
    return {name: given[name] for name in _MACHINE if name in given and given[name] != known.get(name)}


def _spread(strategy: str | None, num_devices: int) -> dict[str, Any]:
    """The strategy and its processes; nothing where no device is named, and `llmforge train` looks at the machine."""
    if strategy is None:
        return {}
    name, _, variant = strategy.partition(", ")
    nodes, rest = divmod(num_devices, _DEVICES_OF_A_MACHINE)
    places = {"nproc": _DEVICES_OF_A_MACHINE, "nodes": nodes} if nodes > 1 and not rest else {"nproc": num_devices}
    return {"strategy": name, **places, **_VARIANTS[variant]}


def to_yaml(plan: Plan, settings: Settings) -> str:
    """The plan as YAML with a comment that says what it is."""
    values = plan.to_dict()["recommended"]
    return _HEADER.format(**values) + yaml.safe_dump(to_settings(plan, settings), sort_keys=False)
