"""What the plan decides where the user did not: the model, and with it batch and learning rate."""

from typing import Any

from llmforge.config.model import ModelSection
from llmforge.config.schema import Settings
from llmforge.config.train import TrainSection
from llmforge.core import log
from llmforge.core.files import read_json
from llmforge.pipeline.inputs import open_artifact

_FROM_PLAN = ("global_batch_tokens", "micro_batch_sequences")


def follow_plan(settings: Settings) -> Settings:
    """The settings with the plan's model, batch and learning rate where no model is chosen; otherwise as they are.

    A batch size or learning rate that the user set stays.

    Raises: InputError if a plan is needed and plan-scaling has not finished.
    """
    if settings.model.is_chosen:
        return settings
    plan = read_json(open_artifact(settings.run_folder, "plan-scaling").folder / "plan.json")["recommended"]
    model = settings.model.model_copy(update=ModelSection(**plan["model"]).model_dump(exclude_unset=True))
    sizes = ", ".join(f"{name} {value}" for name, value in plan["model"].items())
    log.decided("model", sizes, "no model is set, and the plan recommends it")
    return settings.model_copy(update={"model": model, "train": _batch_of(settings.train, plan)})


def _batch_of(train: TrainSection, plan: dict[str, Any]) -> TrainSection:
    """The plan's batch and learning rate where they stand at their defaults."""
    default = TrainSection()
    update: dict[str, Any] = {name: plan[name] for name in _FROM_PLAN if getattr(train, name) == getattr(default, name)}
    if train.optimizer.lr == default.optimizer.lr:
        update["optimizer"] = train.optimizer.model_copy(update={"lr": plan["lr"]})
    for name, value in update.items():
        shown = value.lr if name == "optimizer" else value
        log.decided("learning rate" if name == "optimizer" else name, shown, "it belongs to the plan's model")
    return train.model_copy(update=update)
