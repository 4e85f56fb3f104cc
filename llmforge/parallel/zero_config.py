"""DeepSpeed's JSON, from the settings: what llmforge decides, and what the user passes on beside it."""

from importlib.util import find_spec
from typing import Any

from llmforge.config.zero import ZeroSection
from llmforge.core import log
from llmforge.core.errors import MachineError, SettingsError

STAGES = {"zero1": 1, "zero2": 2, "zero3": 3}
"""What the strategies' names stand for."""

_NOT_PASSED_ON = ("optimizer", "scheduler", "fp16", "amp", "torch_autocast", "gradient_clipping", "train_batch_size")
"""Keys of which llmforge does the work itself."""

_OFFLOADS = {"offload_optimizer": "offload_optimizer", "offload_param": "offload_parameters"}
"""DeepSpeed's keys of offloading, and our settings that stand for them."""


def require_deepspeed() -> None:
    """See that the library is there.

    Raises: MachineError if it is not installed.
    """
    if find_spec("deepspeed") is None:
        raise MachineError(
            "DeepSpeed is not installed, and the strategies zero1, zero2 and zero3 need it",
            'install it with `pip install "deepspeed>=0.18"` (Linux only); fsdp shards the same without it',
        )


def zero_config(section: ZeroSection, stage: int, *, precision: str, num_params: int) -> dict[str, Any]:
    """The configuration of DeepSpeed's engine.

    The engine neither clips nor counts micro-batches here: the two halves of a step do. Gradients are summed and kept
    in fp32, as in the other engines.

    Args:
        section: `train.zero`.
        stage: 1, 2 or 3.
        precision: "fp32" or "bf16" (bf16 weights beside an fp32 copy, which is what is saved).
        num_params: of the model (count); no bucket is larger.

    Raises: SettingsError if `extra` names a key that llmforge sets or offloads by itself, or parameters are to be
        offloaded below stage 3.
    """
    _refuse_offload_in_extra(section)
    if section.offload_parameters and stage != 3:
        raise SettingsError(
            f"train.zero.offload_parameters is on, but train.strategy is zero{stage}, which does not shard parameters",
            "use --strategy zero3, or offload_optimizer alone",
        )
    bucket = min(section.bucket_elements, num_params)
    sharding: dict[str, Any] = {"stage": stage, "reduce_bucket_size": bucket, "allgather_bucket_size": bucket}
    if section.offload_optimizer:
        sharding["offload_optimizer"] = {"device": "cpu"}
    if section.offload_parameters:
        sharding["offload_param"] = {"device": "cpu"}
    config: dict[str, Any] = {
        "train_micro_batch_size_per_gpu": 1,
        "gradient_accumulation_steps": 1,
        "gradient_clipping": 0.0,
        "bf16": {"enabled": precision == "bf16"},
        "data_types": {"grad_accum_dtype": "fp32"},
        "communication_data_type": "fp32",
        "zero_optimization": sharding,
        "zero_allow_untested_optimizer": True,
        "zero_force_ds_cpu_optimizer": False,
        "steps_per_print": None,
    }
    return _merge(config, section.extra, ())


def _refuse_offload_in_extra(section: ZeroSection) -> None:
    """Offloading changes where llmforge looks for gradients and states, so it has to know of it."""
    sharding = section.extra.get("zero_optimization")
    given: dict[str, Any] = sharding if isinstance(sharding, dict) else {}
    for key, setting in _OFFLOADS.items():
        offload = given.get(key)
        if isinstance(offload, dict) and offload.get("device") == "nvme":
            raise SettingsError(
                f"train.zero.extra sends zero_optimization.{key} to NVMe, which llmforge does not do: a gradient is "
                "looked at before it changes a weight, and DeepSpeed has put it into a file by then",
                f"set train.zero.{setting}, which offloads to host memory, or shard over more processes",
            )
        if offload is not None and not getattr(section, setting):
            raise SettingsError(
                f"train.zero.extra sets zero_optimization.{key}, and train.zero.{setting} is off",
                f"set train.zero.{setting}; extra may then add to it, as pin_memory",
            )


def warn_of_extra(section: ZeroSection) -> None:
    """Tell the user what goes to DeepSpeed without llmforge's looking at it."""
    for key, value in section.extra.items():
        log.warn(f"train.zero.extra: {key} = {value!r} is passed on to DeepSpeed, unchecked")


def _merge(ours: dict[str, Any], extra: dict[str, Any], path: tuple[str, ...]) -> dict[str, Any]:
    """Our keys and the user's, none of ours replaced."""
    merged = dict(ours)
    for key, value in extra.items():
        name = ".".join((*path, key))
        if isinstance(value, dict) and isinstance(ours.get(key), dict):
            merged[key] = _merge(ours[key], value, (*path, key))
        elif key in ours or name in _NOT_PASSED_ON:
            raise SettingsError(
                f"train.zero.extra sets {name}, which llmforge sets from its own settings",
                "leave it out; `llmforge config show` lists the settings of the train section",
            )
        else:
            merged[key] = value
    return merged
