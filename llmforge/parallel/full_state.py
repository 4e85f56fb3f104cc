"""Full tensors, put together from the parts that the ranks of a mesh hold: one at a time, and told to every rank."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn

from llmforge.arch.architecture import Architecture
from llmforge.parallel.mesh import Degrees
from llmforge.parallel.pipeline import stage_of
from llmforge.parallel.sharding import Sharding
from llmforge.parallel.tensor_file import Form


class FullState:
    """The way from parts to full tensors; every rank calls its methods, in the same order.

    Args:
        arch: the model.
        shapes: full shapes by parameter name, in the model's order.
        sharding: how tensor and data ranks split a parameter.
        num_stages: of the pipeline, over all ranks (count).
        place: where this rank stands on the mesh.
        pipeline: the ranks of this rank's pipeline; None: there is one stage.
        device: where full tensors are put together.
    """

    def __init__(
        self,
        arch: Architecture,
        shapes: Mapping[str, torch.Size],
        sharding: Sharding,
        *,
        num_stages: int,
        place: Degrees,
        pipeline: dist.ProcessGroup | None,
        device: torch.device,
    ) -> None:
        self._arch, self._shapes, self._sharding, self._num_stages = arch, shapes, sharding, num_stages
        self._place, self._pipeline, self._device = place, pipeline, device
        self._num_ranks = 1 if pipeline is None else pipeline.size()

    def tensors(self, parts: Mapping[str, Tensor]) -> Iterator[tuple[str, Tensor]]:
        """Full tensors by parameter name, in the model's order; `parts` are this rank's, in fp32."""
        for name, shape in self._shapes.items():
            yield name, self._from_owner(name, parts.get(name), shape, torch.float32)

    def state_forms(self, states: Mapping[str, Tensor]) -> dict[str, Form]:
        """Type and full shape of every optimizer state of every stage, by "<parameter>/<state>"; this rank's given."""
        forms: dict[str, Form] = {}
        for key, value in states.items():
            shape = self._shapes[key.rpartition("/")[0]] if value.dim() else ()
            forms[key] = (value.dtype, tuple(shape))
        if self._pipeline is not None:
            of_stages: list[dict[str, Form] | None] = [None] * self._num_ranks
            dist.all_gather_object(of_stages, forms, group=self._pipeline)
            forms = {key: form for stage in of_stages for key, form in (stage or {}).items()}
        order = {name: place for place, name in enumerate(self._shapes)}
        # By name within a parameter too: a resumed run holds its states in another order than one that began them.
        return dict(sorted(forms.items(), key=lambda item: (order[item[0].rpartition("/")[0]], item[0])))

    def states(self, forms: Mapping[str, Form], states: Mapping[str, Tensor]) -> Iterator[tuple[str, Tensor]]:
        """Full optimizer states in the order of `forms`."""
        for key, (dtype, shape) in forms.items():
            yield key, self._from_owner(key.rpartition("/")[0], states.get(key), shape, dtype)

    def _from_owner(self, name: str, part: Tensor | None, shape: Sequence[int], dtype: torch.dtype) -> Tensor:
        """The full tensor, put together on the ranks of the stage that owns the parameter, and told to the others."""
        owner = stage_of(name, self._arch.layers, self._num_stages) % self._num_ranks
        if owner == self._place.pipeline:
            assert part is not None, name
            full = self._sharding.gather(name, part, self._shapes[name]) if shape else part.detach()
        else:
            full = torch.empty(tuple(shape), dtype=dtype, device=self._device)
        if self._pipeline is not None:
            full = full.to(self._device).contiguous()
            dist.broadcast(full, group=self._pipeline, group_src=owner)
        return full


def states_by_name(optimizer: torch.optim.Optimizer, parameters: Mapping[str, nn.Parameter]) -> dict[str, Tensor]:
    """An optimizer's states by "<parameter>/<state>", this rank's part of each."""
    return {
        f"{name}/{key}": value
        for name, parameter in parameters.items()
        for key, value in optimizer.state.get(parameter, {}).items()
        if isinstance(value, Tensor)
    }


def load_states(
    optimizer: torch.optim.Optimizer, parameters: Mapping[str, nn.Parameter], states: Mapping[str, Mapping[str, Tensor]]
) -> None:
    """Give an optimizer this rank's parts of its states, by parameter and state name."""
    names = {parameter: name for name, parameter in parameters.items()}
    # The library's own way in: it puts each tensor where this kind of optimizer expects it.
    groups: list[dict[str, Any]] = optimizer.state_dict()["param_groups"]
    ordered = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    by_index = {index: dict(states.get(names[parameter], {})) for index, parameter in enumerate(ordered)}
    optimizer.load_state_dict({"state": by_index, "param_groups": groups})
