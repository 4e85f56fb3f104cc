"""`train.parallel`: the degrees of parallelism where a strategy's name leaves them open, and how its axes work."""

from typing import Literal

from pydantic import model_validator

from llmforge.config.base import Section, execution


class ParallelSection(Section):
    """The torch-native engine's mesh; a degree that is null follows from the strategy and the number of processes."""

    replicate: int | None = execution(None, ge=1, description="groups of ranks that hold whole copies of the weights")
    shard: int | None = execution(None, ge=1, description="ranks that share weights, gradients and optimizer (FSDP)")
    tensor: int | None = execution(None, ge=1, description="ranks that split each layer by heads and units")
    pipeline: int | None = execution(None, ge=1, description="ranks that split the model by layers")
    schedule: Literal["gpipe", "1f1b", "interleaved_1f1b", "zero_bubble"] = execution(
        "1f1b", description="order of a pipeline's passes; the last two give each rank two chunks of layers"
    )
    reshard_after_forward: bool = execution(
        True, description="drop FSDP's gathered weights after the forward pass, and gather them again for the backward"
    )
    sequence_parallel: bool = execution(
        False, description="between a block's split layers, tensor ranks keep a slice of the sequence each"
    )
    vocabulary_parallel_loss: bool = execution(
        False, description="tensor ranks compute the loss over their part of the vocabulary, and never hold all logits"
    )
    activation_checkpointing: Literal["none", "full", "selective"] = execution(
        "none", description="what the backward pass computes again: nothing, blocks, or all but their matrix products"
    )

    @model_validator(mode="after")
    def _zero_bubble_keeps_all_or_nothing(self) -> "ParallelSection":
        """Refuse what was seen not to end: a backward pass in two parts over blocks that keep some products."""
        if self.schedule == "zero_bubble" and self.activation_checkpointing == "selective":
            raise ValueError("zero_bubble does not go with selective activation_checkpointing; use full, or none")
        return self
