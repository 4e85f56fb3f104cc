"""The engine in plain torch: one composition for every set of mesh degrees.

The order is fixed: pipeline cut, tensor parallel, activation checkpointing, compile, then FSDP2 or DDP (see `chunk`).
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import torch
import torch.distributed as dist
from torch import Tensor, nn

from llmforge.arch.degrees import TWO_CHUNKS
from llmforge.config.parallel import ParallelSection
from llmforge.model.init import initial_value
from llmforge.model.saved import WEIGHTS
from llmforge.parallel import gradients
from llmforge.parallel.canonical import OPTIMIZER, read_states, read_weights
from llmforge.parallel.chunk import Chunk
from llmforge.parallel.full_state import FullState, load_states, states_by_name
from llmforge.parallel.groups import Groups, TensorRanks, make_groups
from llmforge.parallel.held import held_bytes
from llmforge.parallel.mesh import degrees_of
from llmforge.parallel.pipeline import Pipeline
from llmforge.parallel.precision import AUTOCAST
from llmforge.parallel.process_group import World, leave_world
from llmforge.parallel.sharding import Sharding, local, named_parameters
from llmforge.parallel.strategy import IGNORE, BuildModel, BuildOptimizer, LossSum, MicroBatch, StepResult
from llmforge.parallel.tensor import is_partial
from llmforge.parallel.tensor_file import Form, write_tensors

_TIED_NAME = "embedding.weight"


class TorchNative:
    """A `Strategy` over mesh degrees; its methods are described there."""

    def __init__(
        self,
        name: str,
        world: World,
        *,
        precision: str,
        max_grad_norm: float,
        parallel: ParallelSection | None = None,
        compiled: bool = False,
    ) -> None:
        self._name, self._world = name, world
        self._section, self._compiled = parallel or ParallelSection(), compiled
        self._degrees = degrees_of(name, world.size, self._section)
        self._place = self._degrees.coordinate(world.rank)
        self._autocast = AUTOCAST[precision]
        self._max_grad_norm = max_grad_norm
        self._grad_norm: float | None = None  # of the gradients at hand, between the two halves of a step
        self.data_rank, self.data_world = self._degrees.data_rank(world.rank), self._degrees.data
        self.is_loss_rank = world.rank == 0
        self.device = world.device

    def prepare(self, build_model: BuildModel, build_optimizer: BuildOptimizer, *, seed: int) -> None:
        """See `Strategy`."""
        with torch.device("meta"):
            whole = build_model()
        self._arch = whole.arch
        self._shapes = {name: parameter.shape for name, parameter in whole.named_parameters()}
        self._groups = make_groups(self._degrees, self.device) if self._world.size > 1 else None
        self._ranks = self._tensor_ranks(self._groups)
        self._sharding = Sharding(self._arch, self._ranks)
        self._chunks = self._build_chunks(build_model)
        self._parameters: dict[str, nn.Parameter] = {}
        for chunk in self._chunks.values():
            chunk.materialise(self.device, autocast=self._autocast, data_rank=self.data_rank)
            self._parameters |= named_parameters(chunk.model, self._arch)
        for name, parameter in self._parameters.items():
            self._sharding.put(name, parameter, initial_value(name, self._shapes[name], self._arch, seed))
        for chunk in self._chunks.values():
            chunk.replicate()
        self._optimizer = build_optimizer(self._parameters.items())
        self._show_whole_matrices()
        self._pipeline = self._build_pipeline(self._groups)
        self._full = FullState(
            self._arch,
            self._shapes,
            self._sharding,
            num_stages=self._num_stages,
            place=self._place,
            pipeline=self._groups.along("pipeline") if self._groups and self._degrees.pipeline > 1 else None,
            device=self.device,
        )

    def forward_backward(
        self, micro_batches: Sequence[MicroBatch], *, seed: int, loss_scale: float = 1.0
    ) -> StepResult:
        """See `Strategy`."""
        valid = sum(int((batch.targets_BT != IGNORE).sum()) for batch in micro_batches)
        # Every rank of a tensor or pipeline group counts the same sequences.
        tokens = round(float(self._sum(torch.tensor(valid, dtype=torch.float64))) / self._copies_of_data)
        for chunk in self._chunks.values():
            chunk.model.train()
            chunk.passes.begin(seed)
        loss_sum = self._passes(micro_batches, loss_scale / max(tokens, 1))
        self._complete_gradients()
        gradients.unscale(self._held_gradients(), loss_scale)
        totals = torch.stack([loss_sum / self._degrees.tensor, self._squared_norm()])
        loss_total, squared_norm = self._sum(totals).tolist()
        self._grad_norm = squared_norm**0.5
        return StepResult(loss_total, tokens, self._grad_norm)

    def gradients(self) -> Iterator[tuple[str, Tensor]]:
        """See `Strategy`."""
        gradients_by_name = {name: self._gradient(parameter) for name, parameter in self._parameters.items()}
        for name, gradient in self._full.tensors(gradients_by_name):
            yield name, gradient.float()

    def apply(self, lr: float) -> None:
        """See `Strategy`."""
        assert self._grad_norm is not None, "apply() follows forward_backward()"
        gradients.clip(self._held_gradients(), self._grad_norm, self._max_grad_norm)
        for group in self._optimizer.param_groups:
            group["lr"] = lr
        self._optimizer.step()
        self.discard()

    def discard(self) -> None:
        """See `Strategy`."""
        self._optimizer.zero_grad(set_to_none=True)
        self._grad_norm = None

    @torch.no_grad()
    def eval_step(self, batch: MicroBatch) -> LossSum:
        """See `Strategy`."""
        for chunk in self._chunks.values():
            chunk.model.eval()
            chunk.passes.begin(None)
        if self._pipeline is not None:
            loss = self._pipeline.evaluate(batch)
        else:
            loss = self._loss(self._chunks[0].model, batch).double()
        valid = (batch.targets_BT != IGNORE).sum().to(loss) / self._degrees.pipeline
        loss_sum, tokens = (self._sum(torch.stack([loss, valid])) / self._degrees.tensor).tolist()
        return LossSum(loss_sum, round(tokens))

    def save(self, folder: Path) -> None:
        """See `Strategy`."""
        forms: dict[str, Form] = {name: (torch.float32, tuple(shape)) for name, shape in self._shapes.items()}
        self._write(folder / WEIGHTS, forms, self.full_state(), {})
        states = states_by_name(self._optimizer, self._parameters)
        forms = self._full.state_forms(states)
        metadata = {"optimizer": type(self._optimizer).__name__}
        self._write(folder / OPTIMIZER, forms, self._full.states(forms, states), metadata)
        if self._world.size > 1:
            dist.barrier()

    def load(self, folder: Path) -> None:
        """See `Strategy`."""
        for name, weight in read_weights(folder / WEIGHTS, self._shapes, self._parameters):
            self._sharding.put(name, self._parameters[name], weight)
        self._load_optimizer(folder / OPTIMIZER)

    def full_state(self) -> Iterator[tuple[str, Tensor]]:
        """See `Strategy`."""
        for name, weight in self._full.tensors(self._parameters):
            yield name, weight.float()

    def state_bytes(self) -> dict[str, int]:
        """See `Strategy`."""
        weights = list(self._parameters.values())
        held = [parameter.grad for parameter in weights if parameter.grad is not None]
        states = states_by_name(self._optimizer, self._parameters)
        return held_bytes({"weights": weights, "gradients": held, "optimizer": list(states.values())})

    def close(self) -> None:
        """See `Strategy`."""
        leave_world(self._world)

    @property
    def _copies_of_data(self) -> int:
        return self._degrees.tensor * self._degrees.pipeline

    @property
    def _num_stages(self) -> int:
        two_chunks = self._degrees.pipeline > 1 and self._name != "model" and self._section.schedule in TWO_CHUNKS
        return self._degrees.pipeline * (2 if two_chunks else 1)

    def _tensor_ranks(self, groups: Groups | None) -> TensorRanks | None:
        if groups is None or self._degrees.tensor == 1:
            return None
        return TensorRanks(groups.along("tensor"), self._place.tensor, self._degrees.tensor)

    def _build_chunks(self, build_model: BuildModel) -> dict[int, Chunk]:
        """The stages of this rank: every `pipeline`-th one."""
        chunks = {}
        for stage in range(self._place.pipeline, self._num_stages, self._degrees.pipeline):
            with torch.device("meta"):
                model = build_model()
            chunks[stage] = Chunk(
                model,
                stage,
                self._num_stages,
                self._degrees,
                self._section,
                self._groups,
                self._ranks,
                compiled=self._compiled,
            )
        return chunks

    def _build_pipeline(self, groups: Groups | None) -> Pipeline | None:
        if groups is None or self._degrees.pipeline == 1:
            return None
        one_at_a_time = self._name == "model"
        return Pipeline(
            {stage: chunk.wrapped for stage, chunk in self._chunks.items()},
            self._num_stages,
            groups.along("pipeline"),
            "gpipe" if one_at_a_time else self._section.schedule,
            one_at_a_time=one_at_a_time,
            dim=self._arch.dim,
            device=self.device,
        )

    def _show_whole_matrices(self) -> None:
        """Tell an optimizer that works on whole matrices (Muon) how the ranks hold them."""
        names = {parameter: name for name, parameter in self._parameters.items()}

        def gather(parameter: Tensor, tensor: Tensor) -> Tensor:
            name = names[parameter]  # type: ignore[index]
            return self._sharding.gather(name, tensor, self._shapes[name])

        def own_part(parameter: Tensor, whole: Tensor) -> Tensor:
            return self._sharding.like(names[parameter], parameter, whole)  # type: ignore[index]

        distribute = getattr(self._optimizer, "distribute", None)
        if distribute is not None:
            distribute(gather, own_part)

    def _passes(self, micro_batches: Sequence[MicroBatch], share: float) -> Tensor:
        """All forward and backward passes; the sum of the losses that this rank computed, fp64."""
        # DDP averages over the replicas; times their number, that is a sum.
        averaged = any(chunk.averages for chunk in self._chunks.values())
        scale = share * (self._degrees.replicate if averaged else 1)
        if self._pipeline is not None:
            return self._pipeline.train(micro_batches, scale)
        loss_sum = torch.zeros((), dtype=torch.float64, device=self.device)
        whole = self._chunks[0]
        for index, batch in enumerate(micro_batches):
            with whole.exchanging(last=index == len(micro_batches) - 1):
                loss = self._loss(whole.wrapped, batch)
                torch.autograd.backward(loss * scale)
            loss_sum += loss.detach()
        return loss_sum

    def _loss(self, model: nn.Module, batch: MicroBatch) -> Tensor:
        tokens_BT, targets_BT = batch.tokens_BT.to(self.device), batch.targets_BT.to(self.device)
        loss: Tensor = model(tokens_BT, targets_BT, **batch.masks(self.device))
        return loss

    def _complete_gradients(self) -> None:
        """Add up what tensor ranks, and both ends of a pipeline, each saw a part of."""
        for name, parameter in self._parameters.items():
            if self._ranks is not None and is_partial(
                name, self._arch, self._degrees.tensor, sequence_parallel=self._section.sequence_parallel
            ):
                dist.all_reduce(local(self._gradient(parameter)), group=self._ranks.group)
            if self._is_on_both_ends(name):
                assert self._groups is not None
                dist.all_reduce(local(self._gradient(parameter)), group=self._groups.ends)

    def _is_on_both_ends(self, name: str) -> bool:
        return self._arch.tied and self._degrees.pipeline > 1 and name == _TIED_NAME

    def _squared_norm(self) -> Tensor:
        """One rank's share of the squared global norm: every distinct parameter counts once over all ranks."""
        by_replicas: dict[int, list[Tensor]] = {}
        for name, parameter in self._parameters.items():
            replicas = self._degrees.replicate * (2 if self._is_on_both_ends(name) else 1)
            if self._sharding.split_dim(name) is None:
                replicas *= self._degrees.tensor
            by_replicas.setdefault(replicas, []).append(local(self._gradient(parameter)))
        shares = [gradients.squared_norm(group, replicas) for replicas, group in by_replicas.items()]
        return torch.stack(shares).sum()

    def _held_gradients(self) -> list[Tensor]:
        """What this rank holds of the gradients."""
        return [local(self._gradient(parameter)) for parameter in self._parameters.values()]

    @staticmethod
    def _gradient(parameter: nn.Parameter) -> Tensor:
        assert parameter.grad is not None, "every parameter takes part in every step"
        return parameter.grad

    def _write(
        self, path: Path, forms: Mapping[str, Form], tensors: Iterator[tuple[str, Tensor]], metadata: dict[str, str]
    ) -> None:
        """Rank 0 writes; the others take part in putting the tensors together."""
        if self.is_loss_rank:
            write_tensors(path, forms, tensors, metadata)
        else:
            for _ in tensors:
                pass

    def _load_optimizer(self, path: Path) -> None:
        states: dict[str, dict[str, Tensor]] = {name: {} for name in self._parameters}
        for name, key, full in read_states(path, type(self._optimizer).__name__, self._shapes, self._parameters):
            states[name][key] = self._sharding.like(name, self._parameters[name], full) if full.dim() else full
        load_states(self._optimizer, self._parameters, states)

    def _sum(self, values: Tensor) -> Tensor:
        """Sum over all ranks, equal on all of them to the last bit."""
        if self._world.size > 1:
            values = values.to(self.device)
            dist.all_reduce(values)
        return values
