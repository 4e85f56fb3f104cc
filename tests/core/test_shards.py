from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmforge.core.documents import Document, document_id
from llmforge.core.errors import InputError
from llmforge.core.shards import read_documents, read_objects, shard_writer

TEXTS = st.text(st.characters(codec="utf-8"))


@given(TEXTS, TEXTS, st.dictionaries(TEXTS, st.integers(-(2**53), 2**53) | st.none() | TEXTS))
def test_a_document_survives_its_line(text: str, url: str, meta: dict[str, object]) -> None:
    document = Document(document_id("s", "f#1", text), text, "s", url, meta)
    line = document.to_json()
    assert b"\n" not in line
    assert Document.from_json(line) == document


def test_shards_hold_what_was_written_and_equal_lines_give_equal_bytes(tmp_path: Path) -> None:
    documents = [Document(str(n), "line one\nline two \u2028 " * n, "s") for n in range(50)]
    for name in ("a", "b"):
        with shard_writer(tmp_path / name) as shard:
            for document in documents:
                shard.write(document)
    assert list(read_documents(tmp_path / "a")) == documents
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_an_empty_shard_is_a_shard(tmp_path: Path) -> None:
    with shard_writer(tmp_path / "a"):
        pass
    assert list(read_objects(tmp_path / "a")) == []


def test_a_cut_or_flipped_shard_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "00000.jsonl.zst"
    with shard_writer(path) as shard:
        for number in range(2000):
            shard.write({"number": number, "text": f"text {number * 7919 % 1000}"})
    whole = path.read_bytes()
    for cut in (0, 1, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:cut])
        with pytest.raises(InputError, match=r"00000\.jsonl\.zst"):
            list(read_objects(path))
    for place in range(20, len(whole), len(whole) // 40):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 4]) + whole[place + 1 :])
        with pytest.raises(InputError, match=r"00000\.jsonl\.zst"):
            list(read_objects(path))


def test_an_id_depends_on_source_place_and_text_and_on_nothing_else() -> None:
    assert document_id("a", "f#1", "text") == document_id("a", "f#1", "text")
    ids = {document_id(*parts) for parts in [("a", "f", "t"), ("af", "", "t"), ("a", "ft", ""), ("b", "f", "t")]}
    assert len(ids) == 4
    assert all(len(one) == 32 for one in ids)
