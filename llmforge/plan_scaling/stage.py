"""plan-scaling: from a compute budget, a model size or the tokens at hand to the run worth doing.

1. what is known: tokens and vocabulary of the tokenize artifact where there is one, else of the settings
2. make_plan: question -> shape -> tokens -> batch and steps -> FLOPs, memory, hours, loss; each law's answer beside it
3. plan.json for programs, recommended.yaml for `llmforge train`
"""

from pathlib import Path
from typing import Any

from llmforge.arch.vocabulary import expected_vocab_size
from llmforge.config.base import identity_settings
from llmforge.config.schema import Settings
from llmforge.core.files import read_json, write_bytes, write_json
from llmforge.pipeline.counts import Counts
from llmforge.pipeline.inputs import Inputs, open_artifact
from llmforge.pipeline.manifest import MANIFEST
from llmforge.pipeline.stage import Context, Plan, Shard, Step
from llmforge.plan_scaling import plan as planning
from llmforge.plan_scaling.describe import describe_plan
from llmforge.plan_scaling.recommended import to_yaml

PLAN, RECOMMENDED = "plan.json", "recommended.yaml"
_TOKENIZE = "tokenize"


class PlanStep:
    """The only step, with one shard: make the plan and write it."""

    name = "plan"

    def plan(self, context: Context) -> Plan:
        """One shard; the notes are the plan itself."""
        rows = describe_plan(plan_for(context.settings, context.inputs))
        notes = tuple(f"{row.name:<28} {row.value} {row.unit}".rstrip() for row in rows)
        return Plan((Shard(0, "plan", {}),), notes)

    def run_shard(self, shard: Shard, context: Context) -> Counts:
        """Write plan.json and recommended.yaml; no document passes through here."""
        plan = plan_for(context.settings, context.inputs)
        write_json(context.output(PLAN), plan.to_dict())
        write_bytes(context.output(RECOMMENDED), to_yaml(plan, context.settings).encode())
        return Counts()

    def finish(self, context: Context) -> dict[str, Any]:
        """The recommendation and the cautions, for the manifest."""
        plan = read_json(context.folder / PLAN)
        return {"recommended": plan["recommended"], "cautions": plan["cautions"]}


class PlanScalingStage:
    """Settings and tokens in, a plan out."""

    name = "plan-scaling"
    section = "plan_scaling"
    version = 3
    packages: tuple[str, ...] = ()
    steps: tuple[Step, ...] = (PlanStep(),)

    def find_inputs(self, settings: Settings, run_folder: Path) -> Inputs:
        """The tokenize artifact where there is one, and the settings of model and training that a plan depends on."""
        sections: dict[str, dict[str, Any]] = {"model": identity_settings(settings.model)}
        if settings.model.is_chosen:
            train = settings.train
            sections["train"] = {"global_batch_tokens": train.global_batch_tokens, "lr": train.optimizer.lr}
        if (run_folder / _TOKENIZE / MANIFEST).exists():
            artifact = open_artifact(run_folder, _TOKENIZE)
            return Inputs(artifacts=((_TOKENIZE, artifact),), sections=tuple(sections.items()))
        sections["tokenize"] = {"vocab_size": expected_vocab_size(settings)}
        return Inputs(sections=tuple(sections.items()))

    def review(self, settings: Settings, counts: Counts) -> list[str]:
        """Nothing of its own: the plan carries its cautions."""
        return []


def plan_for(settings: Settings, inputs: Inputs) -> planning.Plan:
    """The plan for the tokens of the tokenize artifact, or for none where the stage has not run.

    Raises: SettingsError as `make_plan` does.
    """
    artifact = inputs.artifact(_TOKENIZE)
    if artifact is None:
        return planning.make_plan(settings, None, None, expected_vocab_size(settings))
    train = artifact.manifest.results["store"]["train"]
    vocab_size = artifact.manifest.results["tokenizer"]["vocab_size"]
    bytes_per_token = train["num_bytes"] / train["num_tokens"]
    return planning.make_plan(settings, train["num_tokens"], bytes_per_token, vocab_size)


PLAN_SCALING = PlanScalingStage()
