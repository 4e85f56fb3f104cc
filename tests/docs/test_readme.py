"""Every llmforge command of the README runs as it is written, in the order in which it stands there."""

import re
import shlex
from pathlib import Path

import pytest
from corpus import make_corpus

README = Path(__file__).parents[2] / "README.md"


def commands() -> list[str]:
    blocks = re.findall(r"```sh\n(.*?)```", README.read_text(encoding="utf-8"), flags=re.DOTALL)
    return [line for block in blocks for line in block.splitlines() if line.strip()]


def test_the_readme_names_the_make_targets_that_there_are() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (README.parent / "Makefile").read_text(), flags=re.MULTILINE))
    named = set(re.findall(r"make ([a-z-]+)", README.read_text(encoding="utf-8")))
    assert named - {"demo"} <= targets
    assert "demo" in targets


@pytest.mark.slow
@pytest.mark.timeout(1500)
def test_every_command_runs(llmforge, write_jsonl, tmp_path: Path) -> None:
    (tmp_path / "configs").symlink_to(README.parent / "configs")
    make_corpus(tmp_path / "my_texts")
    documents = [{"text": path.read_text()} for path in sorted((tmp_path / "my_texts" / "texts").iterdir())]
    write_jsonl(tmp_path / "documents.jsonl", documents)
    shorter = ["--set", "train.tokens=40000", "--set", "train.eval_tokens=4096"]
    assert llmforge("sample-data", "sample-data", cwd=tmp_path).returncode == 0
    ran = 0
    for line in commands():
        words = shlex.split(line.replace("documents.jsonl.gz", "documents.jsonl"))
        if words[0] != "llmforge":
            continue
        extra = shorter if words[1] == "run" and "--dry-run" not in words else []
        if words[1] in ("run", "curate") and "./my_texts" in words:
            extra = [*extra, "--set", "curate.max_bad_fraction=0.1"]  # the corpus of the tests holds damage on purpose
        result = llmforge(*words[1:], *extra, cwd=tmp_path, timeout=900)
        assert result.returncode == 0, f"{line}\n{result.stderr}"
        ran += 1
    assert ran >= 10
