"""A step's documents, found again from settings and token store; the command; and what it says where there are none."""

from pathlib import Path

import orjson
import pytest
from tiny_run import BATCH_SEQUENCES, CONTEXT, STEPS, make_settings
from typer.testing import CliRunner

from llmforge.cli.main import app
from llmforge.core.errors import InputError
from llmforge.tokenize.token_store import TokenStore
from llmforge.train.data import TrainingData
from llmforge.train.plan import BatchShape
from llmforge.train.stage import TrainOutcome
from llmforge.train.trace import trace_step


@pytest.fixture(scope="module")
def run(undisturbed: TrainOutcome) -> Path:
    """The finished tiny run, with the settings that the command line leaves in its folder."""
    run = undisturbed.folder.parent
    (run / "run.yaml").write_text(make_settings(run.parent).model_dump_json())  # JSON is YAML, too
    return run


def test_the_documents_of_a_step_are_those_of_its_batch(run: Path) -> None:
    found = trace_step(run, 3)
    data = TrainingData(TokenStore.open(run / "tokenize", "train"), CONTEXT, {}, make_settings(run.parent).run.seed)
    indices = BatchShape(BATCH_SEQUENCES, 2).global_indices(2)
    assert found.documents == data.documents(indices)
    assert (found.step, found.num_sequences) == (3, BATCH_SEQUENCES)
    assert all(span.url.startswith("topic:") for span in found.documents)
    assert found.documents != trace_step(run, 4).documents


def test_the_command_names_them(run: Path) -> None:
    shown = CliRunner().invoke(app, ["trace", str(run), "--step", "3", "--json"])
    assert shown.exit_code == 0
    documents = orjson.loads(shown.stdout)["documents"]
    assert [document["id"] for document in documents] == [span.id for span in trace_step(run, 3).documents]
    lines = CliRunner().invoke(app, ["trace", str(run), "--step", "3"]).stdout.splitlines()
    assert lines[0] == f"step 3: 8 sequences, {len(documents)} documents"
    assert documents[0]["url"] in lines[1]


def test_what_is_not_there_is_said(run: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"the training has no step 13"):
        trace_step(run, STEPS + 1)
    with pytest.raises(InputError, match="no training"):
        trace_step(tmp_path, 1)
