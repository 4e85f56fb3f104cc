"""Self-check: how well the chosen settings find edited copies in a sample of this very corpus.

Documents are sampled, their own duplicates removed, and of each a copy planted with so many words replaced that its
similarity should be .5, .6, .7, .8 or .9. Then the whole stage runs over originals and copies.
"""

import random
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from llmforge.config.dedup import DedupSection, MinHashSection
from llmforge.config.schema import Settings
from llmforge.core.documents import Document
from llmforge.core.errors import SettingsError
from llmforge.core.hashing import derive_seed
from llmforge.core.shards import read_documents, read_objects, shard_writer
from llmforge.dedup.exact import normalise
from llmforge.dedup.lsh import SIMILARITIES, candidate_probability
from llmforge.dedup.source import input_shards, read_shard
from llmforge.dedup.units import shingle_documents
from llmforge.dedup.verify import jaccard
from llmforge.pipeline.build import BuildOptions, build_stage
from llmforge.pipeline.stage import Context, Stage

_MIN_WORDS = 50  # in a shorter text one edit changes too much to aim at a similarity
_COPY = "copy of "


@dataclass(frozen=True)
class Level:
    """Copies planted at one similarity: how many, how many of them are duplicates, and found; what the curve says."""

    similarity: float
    planted: int
    duplicates: int
    found: int
    expected: float


@dataclass(frozen=True)
class SelfCheck:
    """What came of planting; `wrong` counts removals that are no planted pair."""

    levels: tuple[Level, ...]
    wrong: int

    @property
    def recall(self) -> float:
        """Found planted duplicates among all of them."""
        return sum(level.found for level in self.levels) / max(sum(level.duplicates for level in self.levels), 1)

    @property
    def precision(self) -> float:
        """Planted pairs among all removals."""
        found = sum(level.found for level in self.levels)
        return found / max(found + self.wrong, 1)


def self_check(stage: Stage, context: Context, num_documents: int = 1000) -> SelfCheck:
    """Plant edited copies in a sample of the stage's input, and count what the stage finds.

    Args:
        stage: dedup itself.
        context: with the settings and inputs of the run.
        num_documents: documents in the sample (count).
    Raises: SettingsError if near-duplicates are not looked for by the Jaccard similarity of words.
    """
    settings = context.settings.dedup
    minhash = settings.minhash
    if minhash is None or minhash.ngram_words is None or minhash.verify_containment is not None:
        raise SettingsError("--self-check plants edits of words: dedup.minhash with ngram_words and verify_jaccard")
    draw = random.Random(derive_seed(context.settings.run.seed, "dedup", "self-check"))
    sample = [Document(f"{number:08d}", text, "sample") for number, text in enumerate(_sample(context, num_documents))]
    with tempfile.TemporaryDirectory() as folder:
        alone, _ = _run(stage, sample, settings, Path(folder, "alone"))
        copies = _plant(alone, minhash.ngram_words, draw)
        _, removed = _run(stage, [*alone, *copies], settings, Path(folder, "planted"))
    pairs = {frozenset(pair) for pair in removed}
    wrong = sum(len({name.removeprefix(_COPY) for name in pair}) > 1 for pair in pairs)
    return SelfCheck(tuple(_levels(alone, copies, pairs, minhash)), wrong)


def _sample(context: Context, num_documents: int) -> Iterator[str]:
    """Long enough documents from the beginning of every shard in turn."""
    shards = input_shards(context)
    each = -(-num_documents // max(len(shards), 1))
    for shard in shards[:num_documents]:
        texts = (read.text for read in read_shard(shard, context) if isinstance(read, Document))
        yield from islice((text for text in texts if len(text.split()) >= _MIN_WORDS), each)


def _plant(alone: list[Document], ngram_words: int, draw: random.Random) -> list[Document]:
    """A copy of each document, the similarities taken in turn."""
    words = [word for document in alone for word in document.text.split()[:_MIN_WORDS]]
    copies = []
    for number, document in enumerate(alone):
        similarity = SIMILARITIES[number % len(SIMILARITIES)]
        # Of Jaccard similarity j a share 2j / (1 + j) of the shingles survives; each has to survive n replacements.
        share = 1 - (2 * similarity / (1 + similarity)) ** (1 / ngram_words)
        text = " ".join(draw.choice(words) if draw.random() < share else word for word in document.text.split())
        copies.append(Document(_COPY + document.id, text, "planted"))
    return copies


def _run(
    stage: Stage, documents: list[Document], settings: DedupSection, folder: Path
) -> tuple[list[Document], list[tuple[str, str]]]:
    """The documents that stay, and (removed, kept) ids."""
    with shard_writer(folder / "input" / "00000.jsonl.zst") as shard:
        for document in documents:
            shard.write(document)
    changes = {"data": str(folder / "input"), "column": None, "max_drop_share": 1.0}
    run = Settings(dedup=settings.model_copy(update=changes))
    run = run.model_copy(update={"run": run.run.model_copy(update={"workers": 1})})
    artifact = build_stage(stage, run, folder / "run", BuildOptions()).folder
    removed = [row for path in sorted((artifact / "removed").glob("*")) for row in read_objects(path)]
    kept = [Document(row.id, row.text, row.source) for row in read_documents(artifact / "data" / "00000.jsonl.zst")]
    return kept, [(row["id"], row["kept_id"]) for row in removed]


def _levels(
    alone: list[Document], copies: list[Document], pairs: set[frozenset[str]], minhash: MinHashSection
) -> Iterator[Level]:
    """What was found at each similarity, beside what the catch curve expects for the true similarities."""
    for number, similarity in enumerate(SIMILARITIES):
        planted = list(zip(alone, copies, strict=True))[number :: len(SIMILARITIES)]
        sets = shingle_documents([normalise(one.text) for pair in planted for one in pair], minhash)
        true = [jaccard(sets.unique(2 * place), sets.unique(2 * place + 1)) for place in range(len(planted))]
        duplicates = [value for value in true if value >= minhash.min_similarity]
        found = sum(frozenset((one.id, copy.id)) in pairs for one, copy in planted)
        expected = sum(candidate_probability(value, minhash.bands, minhash.rows) for value in duplicates)
        yield Level(similarity, len(planted), len(duplicates), found, expected)
