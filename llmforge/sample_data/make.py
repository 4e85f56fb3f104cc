"""`llmforge sample-data DIR`: real corpora out of the running Python, without a download.

DIR/
  sample-data.json       what each corpus is, with its figures; written last
  web/*.warc.gz          pages of pydoc's documentation site, crawled over loopback
  code/**/*.py           the standard library's source
  text/*.txt             sections of the language reference
  docs/*.jsonl.{gz,zst}  docstrings of the standard library
  crowd/*.csv            a crowd-work result, written for the purpose
  evaluation/*.jsonl     evaluation items, some of which the corpora hold
"""

import platform
from dataclasses import asdict, dataclass
from pathlib import Path

from llmforge.core import log
from llmforge.core.files import write_json
from llmforge.sample_data.corpora import CORPORA
from llmforge.sample_data.folder import MANIFEST, built_beside, earlier_sample, measure

# Raised when the same Python gives other bytes than before.
SAMPLE_VERSION = 1


@dataclass(frozen=True, slots=True)
class Corpus:
    """What a corpus is and how large it came out: `path` is a glob below the folder, `bytes` are those on disk."""

    path: str
    what: str
    license: str
    documents: int
    files: int
    bytes: int


def make_sample_data(folder: Path) -> dict[str, Corpus]:
    """Make the corpora, or find that they are there.

    Two environments with the same Python version get the same bytes, and nothing of the environment is in them.

    Args:
        folder: a new or empty folder, or an earlier sample, which is kept if it is up to date and else replaced.
    Returns: web, code, text, docs, crowd and evaluation, with their figures.
    Raises: InputError if the folder holds something else; SettingsError if it is the current one; MachineError if it
        cannot be written, if another process is making it, or if pydoc's server does not answer.
    """
    folder = folder.resolve()
    earlier = earlier_sample(folder, tuple(CORPORA))
    if earlier and earlier["identity"] == _identity():
        log.say(f"{folder}: up to date")
        return {name: Corpus(**fields) for name, fields in earlier["corpora"].items()}
    with built_beside(folder) as partial:
        corpora = {name: _build(name, partial / name) for name in CORPORA}
        fields = {name: asdict(corpus) for name, corpus in corpora.items()}
        write_json(partial / MANIFEST, {"schema": 1, "identity": _identity(), "corpora": fields})
    return corpora


def _identity() -> dict[str, str | int]:
    return {"made_by": "llmforge sample-data", "version": SAMPLE_VERSION, "python": platform.python_version()}


def _build(name: str, folder: Path) -> Corpus:
    """Write one corpus into its folder, and measure it."""
    recipe = CORPORA[name]
    folder.mkdir()
    documents = recipe.write(folder)
    files, num_bytes = measure(folder)
    log.say(f"{name:<11}{documents:>6,} documents  {num_bytes / 1e6:>5.1f} MB  {recipe.what}")
    return Corpus(recipe.path, recipe.what, recipe.license, documents, files, num_bytes)
