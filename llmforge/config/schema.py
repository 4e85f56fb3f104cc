"""The settings of a run: one YAML file, one section a stage. Each section stands in a file of its own."""

from pathlib import Path

from llmforge.config.base import Section, identity_settings
from llmforge.config.curate import CurateSection
from llmforge.config.dedup import DedupSection
from llmforge.config.model import ModelSection
from llmforge.config.plan_scaling import PlanScalingSection
from llmforge.config.run import RunSection
from llmforge.config.tokenize import TokenizeSection
from llmforge.config.train import TrainSection

__all__ = ["Settings", "identity_settings"]


class Settings(Section):
    """Everything that can be set, with its defaults."""

    run: RunSection = RunSection()
    curate: CurateSection = CurateSection()
    dedup: DedupSection = DedupSection()
    tokenize: TokenizeSection = TokenizeSection()
    plan_scaling: PlanScalingSection = PlanScalingSection()
    model: ModelSection = ModelSection()
    train: TrainSection = TrainSection()

    @property
    def run_folder(self) -> Path:
        """Where this run's artifacts are."""
        return Path(self.run.dir) / self.run.name
