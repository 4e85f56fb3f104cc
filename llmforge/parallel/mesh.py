"""Names of strategies as degrees of parallelism."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Degrees:
    """Over how many ranks each axis of the mesh goes; their product is the number of processes.

    Attributes:
        replicate: ranks that hold all weights and share the batch (data parallel).
    """

    replicate: int = 1


def degrees_of(strategy: str, world_size: int) -> Degrees:
    """The mesh that a strategy's name stands for on this number of processes."""
    return {"single": Degrees(), "ddp": Degrees(replicate=world_size)}[strategy]
