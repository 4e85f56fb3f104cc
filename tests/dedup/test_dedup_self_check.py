import random
from pathlib import Path

import pytest
from deduplicating import document, make_text, write_shards

from llmforge.config.schema import Settings
from llmforge.core.errors import SettingsError
from llmforge.dedup.self_check import self_check
from llmforge.dedup.stage import DEDUP
from llmforge.pipeline.stage import Context


def context_of(folder: Path, **minhash: object) -> Context:
    draw = random.Random(1)
    rows = [document(number, make_text(draw, 150)) for number in range(200)]
    rows += [document(900, rows[0]["text"]), document(901, "short")]
    write_shards(folder / "input", [rows[:100], rows[100:]])
    settings = Settings.model_validate({"dedup": {"data": str(folder / "input"), "minhash": minhash}})
    return Context(folder / "run", settings, DEDUP.find_inputs(settings, folder))


def test_planted_copies_are_found_as_the_curve_says(tmp_path: Path) -> None:
    found = self_check(DEDUP, context_of(tmp_path), 150)
    assert [level.similarity for level in found.levels] == [0.5, 0.6, 0.7, 0.8, 0.9]
    assert [level.planted for level in found.levels] == [30] * 5
    assert found.wrong == 0
    assert found.precision == 1.0
    for level in found.levels:
        assert abs(level.found - level.expected) <= 3 * (level.duplicates / 4) ** 0.5
        assert level.found <= level.duplicates
    assert found.levels[4].found == 30
    assert 0.7 < found.recall <= 1.0


def test_a_weaker_signature_finds_fewer(tmp_path: Path) -> None:
    weak = self_check(DEDUP, context_of(tmp_path, bands=1, rows=16), 150)
    assert weak.recall < 0.4


def test_without_words_there_is_nothing_to_plant(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="--self-check plants edits of words"):
        self_check(DEDUP, context_of(tmp_path, ngram_words=None, ngram_characters=9), 10)
