"""`run`: the run's name, place and seed."""

from pydantic import Field

from llmforge.config.base import Section, execution


class RunSection(Section):
    """What all stages share."""

    name: str = Field("llmforge", pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", description="folder name below run.dir")
    dir: str = execution("runs", description="where runs are kept")
    seed: int = Field(1234, ge=0, lt=2**63, description="every random choice is derived from it")
    workers: int | None = execution(None, ge=1, le=1024, description="worker processes; null: one a core")
