from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from llmforge.config.curate import SourceSection
from llmforge.core.errors import InputError, MachineError
from llmforge.curate.readers.huggingface import READER
from llmforge.curate.readers.items import BadItem, Item, RawDocument, ReadOptions
from llmforge.pipeline.inputs import InputFile

pa = pytest.importorskip("pyarrow")
pq = pytest.importorskip("pyarrow.parquet")


def write_dataset(folder: Path, **columns: list) -> Path:
    """A data set in the layout of the hub: shards named by split."""
    (folder / "data").mkdir(parents=True)
    table = pa.table(columns)
    half = len(table) // 2
    for shard, part in enumerate((table.slice(0, half), table.slice(half))):
        pq.write_table(part, folder / "data" / f"train-{shard:05d}-of-00002.parquet")
    return folder


def read(path: Path | str, *, max_record_bytes: int = 1 << 20, **section: Any) -> list[Item]:
    source = SourceSection(path=str(path), type="huggingface", **section)
    place = InputFile(Path("org/name"), "web", f"org/name/{source.split}", 0)
    return list(READER.read(place, ReadOptions(source, max_record_bytes, Counter())))


def test_rows_come_in_the_order_of_the_shards(tmp_path: Path) -> None:
    folder = write_dataset(
        tmp_path / "set",
        raw_content=[f"text {n}" for n in range(6)],
        url=[f"http://a/{n}" for n in range(6)],
        score=[n / 2 for n in range(6)],
        meta=[{"lang": "en", "parts": [n]} for n in range(6)],
    )
    items = read(folder)
    documents = [item.document for item in items if isinstance(item, RawDocument)]
    assert [document.text for document in documents] == [f"text {n}" for n in range(6)]
    assert [document.url for document in documents] == [f"http://a/{n}" for n in range(6)]
    assert documents[3].meta == {"score": 1.5, "lang": "en"}
    assert {document.source for document in documents} == {"web"}
    assert len({document.id for document in documents}) == 6


def test_bad_rows_are_named(tmp_path: Path) -> None:
    folder = write_dataset(tmp_path / "set", text=["a", None, "x" * 5000, "b"])
    items = read(folder, max_record_bytes=1024)
    assert [item.record.error for item in items if isinstance(item, BadItem)] == ["missing_text", "record_too_large"]
    assert [item.document.text for item in items if isinstance(item, RawDocument)] == ["a", "b"]


def test_a_missing_column_or_split_is_named(tmp_path: Path) -> None:
    folder = write_dataset(tmp_path / "set", body=["a", "b"], title=["c", "d"])
    with pytest.raises(InputError, match=r"no column 'text' or 'content' or 'raw_content'; it has 'body', 'title'"):
        read(folder)
    assert len(read(folder, column="body")) == 2
    with pytest.raises(InputError, match="test"):
        read(folder, column="body", split="test")


def test_without_a_network_it_is_the_machine_that_lacks_something(monkeypatch: pytest.MonkeyPatch) -> None:
    import datasets

    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
    with pytest.raises(MachineError, match=r"org/name: .*cannot be reached"):
        read("org/name")
