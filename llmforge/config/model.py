"""`model`: the architecture, from a preset and what is set beside it."""

from typing import Annotated, Literal

from pydantic import Field

from llmforge.config.base import Section


class ModelSection(Section):
    """A preset, and sizes that replace the preset's."""

    preset: str = Field("auto", description="a named architecture and size; auto: the plan's, or gpt2 with these sizes")
    layers: int | None = Field(None, ge=1, le=1024, description="transformer blocks; null: the preset's")
    dim: int | None = Field(None, ge=8, le=2**16, description="model width; null: the preset's")
    heads: int | None = Field(None, ge=1, le=1024, description="attention heads; null: the preset's size of a head")
    kv_heads: int | None = Field(None, ge=1, le=1024, description="key and value heads; null: the preset's share")
    ffn_dim: int | None = Field(None, ge=8, le=2**20, description="feed-forward width; null: the preset's ratio to dim")
    context: int | None = Field(None, ge=8, le=2**20, description="tokens of a sequence; null: the preset's")
    band_tokens: Annotated[int, Field(ge=1)] | Literal["auto"] | None = Field(
        "auto", description="tokens that every second block sees (GPT-3); auto: the preset's; null: all"
    )
    dropout: float = Field(0.0, ge=0, lt=1, description="dropout probability")
    vocab_multiple: int = Field(64, ge=1, description="the embedding is padded to a multiple of this")

    @property
    def is_chosen(self) -> bool:
        """Whether the user chose a model, by name or by a size; otherwise the plan chooses it."""
        sizes = (self.layers, self.dim, self.heads, self.kv_heads, self.ffn_dim)
        return self.preset != "auto" or any(size is not None for size in sizes)
