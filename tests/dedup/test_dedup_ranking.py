import pytest
from pydantic import ValidationError

from llmforge.config.dedup import DedupSection
from llmforge.core.documents import Document
from llmforge.dedup.ranking import lacks, order_key


def settings(*keep: str, priority: tuple[str, ...] = ()) -> DedupSection:
    return DedupSection.model_validate({"keep": keep, "source_priority": priority})


def doc(text: str = "text", source: str = "web", **meta: object) -> Document:
    return Document("id", text, source, "", dict(meta))


@pytest.mark.parametrize(
    ("keep", "better", "worse"),
    [
        ("length", doc("longer text"), doc("text")),
        ("quality", doc(quality=0.9), doc(quality=0.8)),
        ("quality", doc(quality=0), doc()),
        ("quality", doc(quality=0), doc(quality=True)),
        ("quality", doc(quality=0), doc(quality="high")),
        ("date", doc(date="2024-05-02T10:00:00Z"), doc(date="2024-05-01")),
        ("date", doc(date="1950-01-01"), doc(date="yesterday")),
        ("date", doc(date="1970-01-01"), doc(date=1970)),
    ],
)
def test_each_criterion_prefers(keep: str, better: Document, worse: Document) -> None:
    assert order_key(better, settings(keep)) < order_key(worse, settings(keep))


def test_named_sources_come_in_their_order_and_others_last() -> None:
    chosen = settings("source", priority=("books", "web"))
    keys = [order_key(doc(source=source), chosen) for source in ("books", "web", "crawl", "other")]
    assert keys[0] < keys[1] < keys[2] == keys[3]


def test_the_first_criterion_decides_and_the_next_only_where_it_is_equal() -> None:
    chosen = settings("quality", "length")
    short, long = doc("a", quality=0.9), doc("a much longer text", quality=0.1)
    assert order_key(short, chosen) < order_key(long, chosen)
    assert order_key(doc("longer", quality=0.9), chosen) < order_key(short, chosen)


def test_all_criteria_fit_64_bits() -> None:
    chosen = settings("source", "quality", "length", "date", priority=tuple(f"s{number}" for number in range(254)))
    assert 0 <= order_key(doc("x" * 100, "s253", quality=7, date="9999-01-01"), chosen) < 2**64
    assert order_key(doc("", "unknown"), chosen) == 2**64 - 1


def test_a_lacking_value_is_known() -> None:
    assert lacks(doc(), "quality")
    assert lacks(doc(), "date")
    assert not lacks(doc(quality=0.5), "quality")
    assert not lacks(doc(), "length")


def test_a_criterion_can_be_named_once() -> None:
    with pytest.raises(ValidationError, match="a criterion can be named once"):
        settings("length", "length")
