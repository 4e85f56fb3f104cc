"""Which documents a training step saw: a function of the settings and the token store, so it needs no record of it."""

from dataclasses import dataclass
from pathlib import Path

from llmforge.config.load import load_settings
from llmforge.core.errors import InputError
from llmforge.tokenize.token_store import DocumentSpan, TokenStore
from llmforge.train.data import open_training_data
from llmforge.train.folder import TrainFolder
from llmforge.train.follow import follow_plan
from llmforge.train.plan import BatchShape, resolve_model


@dataclass(frozen=True)
class StepTrace:
    """A step (counted from 1, as in metrics.jsonl), its sequences (count), and the documents they were cut from."""

    step: int
    num_sequences: int
    documents: list[DocumentSpan]


def trace_step(run: Path, step: int) -> StepTrace:
    """The documents of one step of a run's training.

    Raises: InputError if the run has no training, or it has no such step.
    """
    manifest = TrainFolder(run).manifest() if run.is_dir() else None
    if manifest is None:
        raise InputError(f"{run}: no training", "name the folder of a run that trained, such as runs/demo")
    num_steps = int(manifest.execution.get("num_steps", 0))
    if not 1 <= step <= num_steps:
        raise InputError(f"{run}: the training has no step {step:,}", f"its steps are 1 to {num_steps:,}")
    settings = load_settings(run / "run.yaml").settings
    here = settings.run.model_copy(update={"dir": str(run.absolute().parent), "name": run.absolute().name})
    settings = follow_plan(settings.model_copy(update={"run": here}))
    context = resolve_model(settings).context
    store = TokenStore.open(run / "tokenize", "train")
    data = open_training_data(settings, store, context)
    shape = BatchShape(settings.train.global_batch_tokens // context, 1)
    indices = shape.global_indices(step - 1)
    return StepTrace(step, len(indices), data.documents(indices))
