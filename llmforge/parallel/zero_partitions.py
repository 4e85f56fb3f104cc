"""What a ZeRO engine holds on this rank, reached into where DeepSpeed offers no call.

The engine keeps, for each group of parameters, one flat fp32 partition; its torch optimizer sees nothing else. Full
tensors come and go parameter by parameter, so that memory stays at one parameter.
"""

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class Partitions:
    """One rank's share of gradients, weights and optimizer states.

    Args:
        deepspeed: the library.
        engine: what `deepspeed.initialize` made.
        stage: 1, 2 or 3.
        offload: whether gradients and optimizer states are in host memory.
    """

    def __init__(self, deepspeed: Any, engine: Any, stage: int, *, offload: bool) -> None:
        self._deepspeed, self._utils = deepspeed, deepspeed.utils
        self._zero: Any = engine.optimizer
        # Stage 1 in bf16 without offload has a wrapper of its own, with whole fp32 gradients.
        self._keeps_gradients = hasattr(self._zero, "fp32_groups_gradient_flat_partition")
        self._stage, self._offload = stage, offload
        self.parameters: dict[str, nn.Parameter] = dict(engine.module.named_parameters())

    @property
    def optimizer(self) -> torch.optim.Optimizer:
        """The torch optimizer over flat partitions."""
        optimizer: torch.optim.Optimizer = self._zero.optimizer
        return optimizer

    @property
    def _masters(self) -> list[Tensor]:
        if self._keeps_gradients:
            name = "fp32_groups_flat_partition"
        else:
            name = "fp32_partitioned_groups_flat" if self._stage == 3 else "single_partition_of_fp32_groups"
        flat: list[Tensor] = getattr(self._zero, name)
        return flat

    def gradients(self) -> list[Tensor]:
        """The shards of the gradients that this rank's update will use; each number is on one rank."""
        if self._offload:
            return [master.grad for master in self._masters if master.grad is not None]
        if self._keeps_gradients:
            return list(self._zero.fp32_groups_gradient_flat_partition)
        return [shard for group in self._zero.averaged_gradients.values() for shard in group]

    def tensors(self) -> dict[str, list[Tensor]]:
        """What this rank holds, by what it is; working weights, masters and shards may be one memory."""
        weights = [getattr(parameter, "ds_tensor", parameter.data) for parameter in self.parameters.values()]
        gathered = [parameter.data for parameter in self.parameters.values()]
        whole = [parameter.grad for parameter in self.parameters.values() if parameter.grad is not None]
        whole += getattr(self._zero, "fp32_groups_gradients_flat", [])
        states = [
            value for state in self.optimizer.state.values() for value in state.values() if torch.is_tensor(value)
        ]
        return {
            "weights": [*weights, *gathered],
            "gradients": [*self.gradients(), *whole],
            "optimizer": [*self._masters, *states],
        }

    def full_gradients(self) -> Iterator[tuple[str, Tensor]]:
        """Whole gradients by parameter name; all ranks call it."""
        for name, parameter in self.parameters.items():
            yield name, self._utils.safe_get_full_grad(parameter)

    def drop_gradients(self) -> None:
        """Forget the gradients as the engine does after an overflow, which it would not call this step."""
        zero = self._zero
        zero.zero_grad(set_to_none=True)
        if self._stage == 3:
            zero._overflow_clean_up(1.0)
            zero._pre_step()
            zero._partition_all_parameters()
            return
        if self._keeps_gradients:
            zero.clear_hp_grads()
            return
        zero.micro_step_id = -1
        zero._release_preflattened_grad_buffers()
        if self._offload:
            zero._offload_accumulated_param_ids = set()
            zero.reset_cpu_buffers()
            return
        for group in zero.averaged_gradients:
            zero.averaged_gradients[group] = zero.all_grad_tensors[group] = None

    def full_weights(self) -> Iterator[tuple[str, Tensor]]:
        """Whole fp32 weights by parameter name; all ranks call it."""
        for name, parameter in self.parameters.items():
            yield name, self._utils.safe_get_full_fp32_param(parameter)

    @torch.no_grad()
    def set_weight(self, name: str, value: Tensor) -> None:
        """Give a parameter its fp32 value, and the working weight, which the next forward pass reads, too."""
        parameter = self.parameters[name]
        if self._stage < 3:
            self._utils.safe_set_full_fp32_param(parameter, value)
            parameter.copy_(value)
            return
        self._utils.safe_set_local_fp32_param(parameter, _shard(value, parameter))
        with self._deepspeed.zero.GatheredParameters([parameter], modifier_rank=0):
            parameter.copy_(value)

    def full_states(self) -> Iterator[tuple[str, Tensor]]:
        """Whole optimizer states as "<parameter>/<state>"; nothing before the first update. All ranks call it."""
        shared = self.optimizer.state.get(self._masters[0], {})
        self._link_states()
        for name, parameter in self.parameters.items():
            for key, value in shared.items():
                if torch.is_tensor(value) and value.dim():
                    yield f"{name}/{key}", self._utils.safe_get_full_optimizer_state(parameter, key)
                elif torch.is_tensor(value):
                    yield f"{name}/{key}", value.clone()

    @torch.no_grad()
    def set_states(self, states: dict[str, dict[str, Tensor]]) -> None:
        """Give the optimizer whole states, by parameter and state name; without any, it keeps none."""
        if not states:
            return
        self._make_states()
        for name, parameter in self.parameters.items():
            for key, value in states[name].items():
                if value.dim() == 0:
                    self._set_scalar(key, value)
                elif self._stage == 3:
                    self._utils.safe_set_local_optimizer_state(parameter, _shard(value, parameter), key)
                else:
                    self._utils.safe_set_full_optimizer_state(parameter, value, key)

    def _link_states(self) -> None:
        """Show parameters their states: DeepSpeed does so once, when the first group of parameters has some."""
        if self._stage < 3 and self.optimizer.state:
            self._zero._hp_optimizer_states_linked = False
            self._zero._lazy_init_hp_params_optimizer_state()

    def _set_scalar(self, key: str, value: Tensor) -> None:
        for master in self._masters:
            self.optimizer.state[master][key].copy_(value)

    def _make_states(self) -> None:
        """Have the optimizer make its states, by an update that changes nothing."""
        kept = [(group, group["lr"], group["weight_decay"]) for group in self.optimizer.param_groups]
        for group, _, _ in kept:
            group["lr"] = group["weight_decay"] = 0.0
        for master in self._masters:
            master.grad = torch.zeros_like(master) if master.grad is None else master.grad.zero_()
        if self._stage == 3:
            for index in range(len(self._masters)):
                self._zero._optimizer_step(index)
        else:
            self.optimizer.step()
            self._link_states()
        for master in self._masters if not self._offload else ():
            master.grad = None
        for group, lr, weight_decay in kept:
            group["lr"], group["weight_decay"] = lr, weight_decay


def _shard(value: Tensor, parameter: Any) -> Tensor:
    """The part of a whole tensor that belongs to this rank, padded with zeros as stage 3 pads it."""
    size = parameter.ds_tensor.numel()
    rank = torch.distributed.get_rank()
    padded = F.pad(value.flatten(), (0, size * torch.distributed.get_world_size() - value.numel()))
    return padded.narrow(0, rank * size, size)
