"""Small decisions that all ranks must take alike."""

import torch
import torch.distributed as dist

from llmforge.parallel.process_group import World


def on_any_rank(flag: bool, world: World) -> bool:
    """Whether the flag is up on any rank; the same answer everywhere."""
    if world.size == 1:
        return flag
    raised = torch.tensor(int(flag), device=world.device)
    dist.all_reduce(raised, dist.ReduceOp.MAX)
    return bool(raised)


def from_first_rank(value: int, world: World) -> int:
    """The number that rank 0 holds; the other ranks' own values do not count."""
    if world.size == 1:
        return value
    told = torch.tensor(value, dtype=torch.int64, device=world.device)
    dist.broadcast(told, src=0)
    return int(told)
