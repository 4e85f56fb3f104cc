"""`plan_scaling`: the budget, and the machine that will spend it."""

from pydantic import Field

from llmforge.config.base import Section


class PlanScalingSection(Section):
    """At most one of the budgets; none of them: plan for the tokens at hand."""

    budget_flops: float | None = Field(None, gt=0, le=1e30, description="training compute (FLOPs)")
    params: int | None = Field(None, ge=1000, le=10**14, description="model size (parameters, without embeddings)")
    tokens: int | None = Field(None, ge=1000, le=10**16, description="training tokens")
    device_flops_per_s: float | None = Field(None, gt=0, description="peak of one device; null: measured or unknown")
    num_devices: int = Field(1, ge=1, description="devices")
    utilization: float = Field(0.4, gt=0, le=1, description="share of the peak that training reaches (MFU)")
