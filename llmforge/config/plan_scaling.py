"""`plan_scaling`: the budget, and the machine that will spend it."""

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from llmforge.config.base import Section

# Dense bf16 peak (FLOPs/s) and memory (bytes), as the makers print them.
DEVICES: dict[str, tuple[float, int]] = {
    "a100-40gb": (312e12, 40 * 10**9),
    "a100-80gb": (312e12, 80 * 10**9),
    "h100-80gb": (989.4e12, 80 * 10**9),
    "h200": (989.4e12, 141 * 10**9),
    "mi300x": (1307.4e12, 192 * 10**9),
}


class OwnLawSection(Section):
    """Loss over size and data, E + A / N^alpha + B / D^beta, as `llmforge plan-scaling --fit` prints it."""

    E: float = Field(gt=0, le=100, description="loss that no run goes below (nats per token)")
    A: float = Field(gt=0, description="of parameters")
    B: float = Field(gt=0, description="of tokens")
    alpha: float = Field(gt=0, le=5, description="power of parameters")
    beta: float = Field(gt=0, le=5, description="power of tokens")


class PlanScalingSection(Section):
    """At most one budget, params or tokens; none of them: plan for the model configured, or for the tokens at hand."""

    budget_flops: float | None = Field(None, gt=0, le=1e30, description="training compute (FLOPs)")
    budget_gpu_hours: float | None = Field(None, gt=0, le=1e12, description="device hours, over all devices together")
    budget_money: float | None = Field(None, gt=0, le=1e15, description="in the currency of price_per_device_hour")
    params: int | None = Field(None, ge=1000, le=10**14, description="model size (parameters, embeddings included)")
    tokens: int | None = Field(None, ge=1000, le=10**16, description="training tokens")
    max_epochs: float = Field(4.0, gt=0, le=1000, description="passes over the tokens at hand, unless tokens is given")
    served_tokens: float | None = Field(
        None, gt=0, le=1e18, description="tokens to serve afterwards; null: not sized for"
    )
    own_law: OwnLawSection | None = Field(None, description="your own fit, asked beside the published laws")
    device: Literal["a100-40gb", "a100-80gb", "h100-80gb", "h200", "mi300x"] | None = Field(
        None, description="a known device; sets the next two where they are not given"
    )
    device_flops_per_s: float | None = Field(None, gt=0, description="peak of one device (FLOPs/s); null: no hours")
    device_memory_bytes: int | None = Field(
        None, ge=2**20, description="memory of one device; null: nothing is ruled out"
    )
    num_devices: int = Field(1, ge=1, le=10**6, description="devices")
    price_per_device_hour: float | None = Field(None, gt=0, le=1e6, description="price of a device; null: no cost")
    utilization: Annotated[float, Field(gt=0, le=1)] | Literal["auto"] = Field(
        "auto", description="share of the peak that training reaches (MFU); auto: as published, or 0.4"
    )

    @model_validator(mode="before")
    @classmethod
    def _take_from_device(cls, values: Any) -> Any:
        """Let a device's name stand for its peak and its memory."""
        if not isinstance(values, dict) or values.get("device") not in DEVICES:
            return values
        peak, memory = DEVICES[values["device"]]
        known = {"device_flops_per_s": peak, "device_memory_bytes": memory}
        return values | {name: value for name, value in known.items() if values.get(name) is None}
