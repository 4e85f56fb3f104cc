"""One sample of training, followed back to the web page that it was cut from, through every stage."""

import html
import re
from pathlib import Path
from pydoc_data.topics import topics

import numpy as np
import pytest
from fastwarc.warc import ArchiveIterator, WarcRecordType

from llmforge.config.schema import Settings
from llmforge.core.shards import read_documents
from llmforge.curate.stage import CURATE
from llmforge.dedup.stage import DEDUP
from llmforge.pipeline.build import BuildOptions, build_stage
from llmforge.tokenize.stage import TOKENIZE
from llmforge.tokenize.token_store import TokenStore
from llmforge.tokenize.tokenizer import load_tokenizer
from llmforge.train.data import TrainingData

CONTEXT = 64


def url_of(name: str) -> str:
    return f"https://docs.example.org/{name}.html"


def write_warc(path: Path, pages: dict[str, str]) -> None:
    """A WARC 1.1 file with one response record a page."""
    with open(path, "wb") as file:
        for number, (name, text) in enumerate(pages.items()):
            paragraphs = "".join(f"<p>{html.escape(part)}</p>" for part in text.split("\n\n"))
            page = f"<html><head><title>{name}</title></head><body><article>{paragraphs}</article></body></html>"
            body = b"HTTP/1.1 200 OK\r\nContent-Type: text/html; charset=utf-8\r\n\r\n" + page.encode()
            head = (
                f"WARC/1.1\r\nWARC-Type: response\r\nWARC-Record-ID: <urn:uuid:{number:032x}>\r\n"
                f"WARC-Date: 2024-01-01T00:00:00Z\r\nWARC-Target-URI: {url_of(name)}\r\n"
                f"Content-Type: application/http; msgtype=response\r\nContent-Length: {len(body)}\r\n\r\n"
            )
            file.write(head.encode() + body + b"\r\n\r\n")


def read_warc(path: Path) -> dict[str, tuple[str, str]]:
    """Record id and visible text of each page by its URL, read by the library alone."""
    with open(path, "rb") as file:
        return {
            record.headers["WARC-Target-URI"]: (record.headers["WARC-Record-ID"], visible(record.reader.read()))
            for record in ArchiveIterator(file, record_types=WarcRecordType.response)
        }


def visible(page: bytes) -> str:
    return words(html.unescape(re.sub(r"<[^>]+>", " ", page.decode())))


def words(text: str) -> str:
    return " ".join(text.split())


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of the three stages over forty pages, one of them a copy."""
    folder = tmp_path_factory.mktemp("trace")
    pages = {name: topics[name] for name in sorted(topics, key=lambda name: (-len(topics[name]), name))[:39]}
    write_warc(folder / "pages.warc", {**pages, "copy": next(iter(pages.values()))})
    settings = Settings.model_validate(
        {
            "run": {"dir": str(folder), "name": "run", "workers": 1},
            "curate": {"sources": ({"path": str(folder / "pages.warc"), "name": "web"},)},
            "tokenize": {"vocab_size": 1000, "val_fraction": 0.1},
        }
    )
    for stage in (CURATE, DEDUP, TOKENIZE):
        build_stage(stage, settings, folder / "run", BuildOptions())
    return folder / "run"


def test_a_training_row_leads_back_to_its_web_page(run: Path) -> None:
    records = read_warc(run.parent / "pages.warc")
    kept = {document.id: document for path in (run / "dedup/data").iterdir() for document in read_documents(path)}
    store, tokenizer = TokenStore.open(run / "tokenize", "train"), load_tokenizer(run / "tokenize")
    data = TrainingData(store, CONTEXT, {}, seed=1)
    drawn = set()
    for sample in range(0, data.order.epoch_samples, 7):
        index = np.array([sample])
        (row,) = data.rows(index)
        spans = data.documents(index)
        parts = tokenizer.decode([*row.tokens, row.targets[-1]]).split(tokenizer.eos_token)
        for span, part in zip(spans, [part for part in parts if part], strict=True):
            record_id, page = records[span.url]
            assert kept[span.id].meta["warc_record_id"] == record_id
            assert kept[span.id].url == span.url
            assert part in kept[span.id].text
            found = words(part).split(" ")[1:-1]  # the first and the last word may be cut
            assert " ".join(found) in page
            drawn.add(span.url)
    assert len(drawn) > 20


def test_one_of_two_copies_reaches_no_row(run: Path) -> None:
    stored = {
        span.url
        for split in ("train", "val")
        for store in [TokenStore.open(run / "tokenize", split)]
        for number, shard in enumerate(store.shards)
        for span in store.documents(number, 0, shard.num_tokens)
    }
    copies = {url_of("copy"), url_of(max(topics, key=lambda name: len(topics[name])))}
    assert len(stored & copies) == 1
