from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from curating import Result, run_curate


@pytest.fixture
def curate(tmp_path: Path) -> Callable[..., Result]:
    """Run the stage over one source: curate(path, type="jsonl", settings={...}), or over several: curate(a, b)."""
    numbers = count()

    def run(*paths: Path, settings: dict[str, Any] | None = None, workers: int = 1, **source: Any) -> Result:
        sources = [{"path": str(path), "name": f"s{place}", **source} for place, path in enumerate(paths)]
        return run_curate(tmp_path / f"run{next(numbers)}", sources, workers=workers, **(settings or {}))

    return run
