"""A folder of plain text: one file is one document."""

from collections.abc import Callable, Iterator

from llmforge.core.compression import SAMPLE_BYTES
from llmforge.core.documents import Document, document_id
from llmforge.core.hashing import hash_file
from llmforge.core.records import BadRecord, escape
from llmforge.curate.readers.items import BadItem, Item, RawDocument, Reader, ReadOptions
from llmforge.pipeline.inputs import InputFile


def read(file: InputFile, options: ReadOptions) -> Iterator[Item]:
    """The file as one document; a byte-order mark is taken off."""
    data = read_whole(file, options.max_record_bytes)
    if isinstance(data, BadItem):
        yield data
        return
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        yield BadItem(file.locator, BadRecord.of("invalid_utf8", error.start, data))
        return
    if "\0" in text:
        yield BadItem(file.locator, BadRecord.of("nul_character", text.index("\0"), data))
        return
    identity = document_id(file.source, file.locator, text)
    yield RawDocument(Document(identity, text, file.source, meta={"path": file.locator}), file.locator, len(data))


def read_cleaned(file: InputFile, options: ReadOptions, clean: Callable[[str], str]) -> Iterator[Item]:
    """The file as one document whose text, and so its id, is what `clean` leaves of it."""
    for item in read(file, options):
        if isinstance(item, RawDocument):
            document = item.document
            document.text = clean(document.text)
            document.id = document_id(file.source, file.locator, document.text)
        yield item


def read_whole(file: InputFile, max_record_bytes: int) -> bytes | BadItem:
    """The bytes of a file that is one record."""
    if file.num_bytes <= max_record_bytes:
        return file.path.read_bytes()
    with open(file.path, "rb") as stream:
        sample = stream.read(SAMPLE_BYTES)
    bad = BadRecord("record_too_large", 0, file.num_bytes, hash_file(file.path), escape(sample))
    return BadItem(file.locator, bad)


READER = Reader((".txt", ".text", ".md", ".markdown", ".rst"), read)
