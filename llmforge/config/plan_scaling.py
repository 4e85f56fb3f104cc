"""`plan_scaling`: the budget, and the machine that will spend it."""

from pydantic import Field

from llmforge.config.base import Section


class PlanScalingSection(Section):
    """At most one of the first three; none of them: plan for the model configured, or for the tokens at hand."""

    budget_flops: float | None = Field(None, gt=0, le=1e30, description="training compute (FLOPs)")
    params: int | None = Field(None, ge=1000, le=10**14, description="model size (parameters, embeddings included)")
    tokens: int | None = Field(None, ge=1000, le=10**16, description="training tokens")
    max_epochs: float = Field(4.0, gt=0, le=1000, description="passes over the tokens at hand, unless tokens is given")
    served_tokens: float | None = Field(
        None, gt=0, le=1e18, description="tokens to serve afterwards; null: not sized for"
    )
    device_flops_per_s: float | None = Field(None, gt=0, description="peak of one device (FLOPs/s); null: no hours")
    device_memory_bytes: int | None = Field(
        None, ge=2**20, description="memory of one device; null: nothing is ruled out"
    )
    num_devices: int = Field(1, ge=1, le=10**6, description="devices")
    utilization: float = Field(0.4, gt=0, le=1, description="share of the peak that training reaches (MFU)")
