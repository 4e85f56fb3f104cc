"""DeepSpeed's JSON: what llmforge decides, what is passed on, and what is refused."""

import json
import logging

import pytest

from llmforge.config.zero import ZeroSection
from llmforge.core.errors import MachineError, SettingsError
from llmforge.parallel.process_group import join_world
from llmforge.parallel.zero import import_deepspeed
from llmforge.parallel.zero_config import warn_of_extra, zero_config


def test_the_engine_neither_clips_nor_counts_micro_batches():
    config = zero_config(ZeroSection(), 2, precision="bf16", num_params=1000)
    assert json.loads(json.dumps(config)) == config
    assert (config["gradient_clipping"], config["gradient_accumulation_steps"]) == (0.0, 1)
    assert config["bf16"] == {"enabled": True}
    assert config["zero_optimization"] == {"stage": 2, "reduce_bucket_size": 1000, "allgather_bucket_size": 1000}


def test_offload_goes_to_host_memory():
    section = ZeroSection(offload_optimizer=True, offload_parameters=True, bucket_elements=2048)
    sharding = zero_config(section, 3, precision="fp32", num_params=10**9)["zero_optimization"]
    assert sharding["offload_optimizer"] == sharding["offload_param"] == {"device": "cpu"}
    assert sharding["reduce_bucket_size"] == 2048


def test_parameters_cannot_be_offloaded_where_they_are_not_sharded():
    with pytest.raises(SettingsError, match=r"offload_parameters is on, but train\.strategy is zero2") as error:
        zero_config(ZeroSection(offload_parameters=True), 2, precision="fp32", num_params=1000)
    assert "zero3" in (error.value.hint or "")


def test_extra_keys_are_passed_on_loudly(caplog, monkeypatch):
    monkeypatch.setattr(logging.getLogger("llmforge"), "propagate", True)
    section = ZeroSection(extra={"zero_optimization": {"round_robin_gradients": True}, "seed": 3})
    config = zero_config(section, 1, precision="fp32", num_params=1000)
    assert config["zero_optimization"]["round_robin_gradients"] is True
    assert config["zero_optimization"]["stage"] == 1
    assert config["seed"] == 3
    warn_of_extra(section)
    assert "zero_optimization = {'round_robin_gradients': True} is passed on to DeepSpeed, unchecked" in caplog.text


@pytest.mark.parametrize(
    ("extra", "name"),
    [
        ({"gradient_clipping": 1.0}, "gradient_clipping"),
        ({"zero_optimization": {"stage": 3}}, "zero_optimization.stage"),
        ({"optimizer": {"type": "Adam"}}, "optimizer"),
        ({"bf16": {"enabled": True}}, "bf16.enabled"),
    ],
)
def test_keys_that_llmforge_sets_are_refused(extra, name):
    with pytest.raises(SettingsError, match=f"train.zero.extra sets {name}, which llmforge sets"):
        zero_config(ZeroSection(extra=extra), 1, precision="fp32", num_params=1000)


@pytest.mark.parametrize("offload", [True, False])
@pytest.mark.parametrize("key", ["offload_optimizer", "offload_param"])
def test_nvme_is_refused_with_the_reason(key, offload):
    extra = {"zero_optimization": {key: {"device": "nvme", "nvme_path": "/local_nvme"}}}
    section = ZeroSection(offload_optimizer=offload, offload_parameters=offload, extra=extra)
    with pytest.raises(SettingsError, match=rf"{key} to NVMe, which llmforge does not do: a gradient") as error:
        zero_config(section, 3, precision="bf16", num_params=1000)
    assert "offloads to host memory" in error.value.hint


def test_offloading_is_switched_on_by_its_setting_and_refined_by_extra():
    """Switched on behind llmforge's back, gradients would be looked for where they are not."""
    extra = {"zero_optimization": {"offload_optimizer": {"pin_memory": True}}}
    with pytest.raises(SettingsError, match=r"offload_optimizer, and train\.zero\.offload_optimizer is off"):
        zero_config(ZeroSection(extra=extra), 2, precision="bf16", num_params=1000)
    config = zero_config(ZeroSection(offload_optimizer=True, extra=extra), 2, precision="bf16", num_params=1000)
    assert config["zero_optimization"]["offload_optimizer"] == {"device": "cpu", "pin_memory": True}


def test_without_deepspeed_the_message_says_what_to_install(monkeypatch):
    monkeypatch.setattr("llmforge.parallel.zero_config.find_spec", lambda name: None)
    with pytest.raises(MachineError, match="DeepSpeed is not installed, and the strategies zero1, zero2") as error:
        import_deepspeed(join_world({}))
    assert (
        error.value.hint
        == 'install it with `pip install "deepspeed>=0.18"` (Linux only); fsdp shards the same without it'
    )
