"""`train.zero`: what DeepSpeed's ZeRO shards beyond its stage, and what is passed on to it."""

from typing import Any

from pydantic import Field

from llmforge.config.base import Section, execution


class ZeroSection(Section):
    """DeepSpeed's engine, for the strategies zero1, zero2 and zero3; the stage is the strategy's number."""

    offload_optimizer: bool = execution(False, description="keep optimizer states in host memory, and update there")
    offload_parameters: bool = execution(False, description="keep sharded weights in host memory (zero3 only)")
    bucket_elements: int = execution(
        500_000_000, ge=1024, description="numbers reduced or gathered in one message, at most the model's size"
    )
    extra: dict[str, Any] = Field(
        {}, json_schema_extra={"execution": True}, description="more keys for DeepSpeed's JSON, passed on unchecked"
    )
