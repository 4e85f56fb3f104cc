"""`plan_scaling`: the budget, and the machine that will spend it."""

from pydantic import Field

from llmforge.config.base import Section


class OwnLawSection(Section):
    """Loss over size and data, E + A / N^alpha + B / D^beta, as `llmforge plan-scaling --fit` prints it."""

    E: float = Field(gt=0, le=100, description="loss that no run goes below (nats per token)")
    A: float = Field(gt=0, description="of parameters")
    B: float = Field(gt=0, description="of tokens")
    alpha: float = Field(gt=0, le=5, description="power of parameters")
    beta: float = Field(gt=0, le=5, description="power of tokens")


class PlanScalingSection(Section):
    """At most one of the first three; none of them: plan for the model configured, or for the tokens at hand."""

    budget_flops: float | None = Field(None, gt=0, le=1e30, description="training compute (FLOPs)")
    params: int | None = Field(None, ge=1000, le=10**14, description="model size (parameters, embeddings included)")
    tokens: int | None = Field(None, ge=1000, le=10**16, description="training tokens")
    max_epochs: float = Field(4.0, gt=0, le=1000, description="passes over the tokens at hand, unless tokens is given")
    served_tokens: float | None = Field(
        None, gt=0, le=1e18, description="tokens to serve afterwards; null: not sized for"
    )
    own_law: OwnLawSection | None = Field(None, description="your own fit, asked beside the published laws")
    device_flops_per_s: float | None = Field(None, gt=0, description="peak of one device (FLOPs/s); null: no hours")
    device_memory_bytes: int | None = Field(
        None, ge=2**20, description="memory of one device; null: nothing is ruled out"
    )
    num_devices: int = Field(1, ge=1, le=10**6, description="devices")
    utilization: float = Field(0.4, gt=0, le=1, description="share of the peak that training reaches (MFU)")
