"""A model's parameters on one screen: each matrix with its formula, sizes on disk and in training, and the lesson."""

from pathlib import Path

from llmforge.arch.architecture import Architecture
from llmforge.arch.explain import Inspection, lesson
from llmforge.arch.params import COUNTING_RULE
from llmforge.arch.presets import preset
from llmforge.cli.output import count, size, table
from llmforge.config.load import load_settings
from llmforge.train.follow import follow_plan
from llmforge.train.plan import resolve_model


def find_architecture(model: str) -> Architecture:
    """The architecture of a preset, or of a settings file with its tokenizer's vocabulary.

    Raises: SettingsError if there is no such preset, or the file's settings do not fit together; InputError if the
        file leaves the model to a plan that is not made.
    """
    path = Path(model)
    if path.suffix in (".yaml", ".yml") or path.is_file():
        return resolve_model(follow_plan(load_settings(path).settings))
    return preset(model)


def parameter_lines(model: str, inspection: Inspection) -> list[str]:
    """The table of weights, totals under each convention, bytes, and how to read them."""
    arch = inspection.arch
    return [
        f"{model}: {arch.layers} layers, width {arch.dim:,}, {arch.heads} heads, {arch.kv_heads} key heads, "
        f"feed-forward {arch.ffn_dim:,}, vocabulary {arch.vocab_size:,}, context {arch.context:,}",
        "",
        *table(_weight_rows(inspection)),
        "",
        *table(_count_rows(inspection)),
        f"counted: {COUNTING_RULE}",
        "",
        *table([["size on disk", "bytes", ""], *_byte_rows(inspection.disk_bytes)]),
        "",
        *table([["while training (fp32, AdamW)", "bytes", ""], *_byte_rows(_with_sum(inspection.training_bytes))]),
        "activations come on top; llmforge plan-scaling counts them",
        "",
        *lesson(),
    ]


def _weight_rows(inspection: Inspection) -> list[list[str]]:
    rows = [["weight", "inputs x outputs + outputs", "each", "layers", "parameters"]]
    rows += [
        [one.name, one.formula, count(one.each), count(one.copies), count(one.total)] for one in inspection.weights
    ]
    return [*rows, ["total", "", "", "", count(inspection.count.total)]]


def _count_rows(inspection: Inspection) -> list[list[str]]:
    parts = inspection.count
    named = {
        "all parameters": parts.total,
        "without embeddings and an untied head": parts.without_embeddings,
        "that multiply every token": parts.multiplied,
        "token table": parts.token_embedding,
        "position table": parts.position_embedding,
        "head": parts.head,
        "norms (some papers leave them out)": parts.norms,
        "biases": parts.biases,
    }
    return [["counted as", "parameters"], *([name, count(value)] for name, value in named.items())]


def _with_sum(parts: dict[str, int]) -> dict[str, int]:
    return {**parts, "together": sum(parts.values())}


def _byte_rows(sizes: dict[str, int]) -> list[list[str]]:
    return [[name, count(value), size(value)] for name, value in sizes.items()]
