"""Checkouts of source code: one file is one document, with repository, path, language and licence.

The licence is the one that the file's head names, or that of its repository.
"""

import codecs
import re
from collections.abc import Iterator

from llmforge.core.documents import Document, document_id
from llmforge.core.records import BadRecord
from llmforge.curate.readers.checkout import find_repository, find_repository_license, select_files
from llmforge.curate.readers.items import BadItem, Item, RawDocument, Reader, ReadOptions, Verdict
from llmforge.curate.readers.language_by_content import find_language
from llmforge.curate.readers.languages import LANGUAGES
from llmforge.curate.readers.licenses import find_license
from llmforge.curate.readers.text import read_whole
from llmforge.pipeline.inputs import InputFile

# The declaration of PEP 263, which Emacs, Vim and Ruby read too; it counts in the first two lines only.
_CODING = re.compile(rb"\A(?:[^\n]*\n)?[^\n]*?coding[:=][ \t]*([-\w.]+)")
_NATIVE = {"utf-8", "ascii", "cp1252", "iso8859-1", "iso8859-15", "koi8-r", "euc_jp", "shift_jis", "gbk", "big5"}


def read(file: InputFile, options: ReadOptions) -> Iterator[Item]:
    """The file as one document; a file with NUL bytes is no source code, whatever its name says."""
    data = read_whole(file, options.max_record_bytes)
    if isinstance(data, BadItem):
        yield data
        return
    if b"\0" in data:
        empty = Document(document_id(file.source, file.locator, ""), "", file.source, meta={"path": file.locator})
        yield RawDocument(empty, file.locator, len(data), verdict=Verdict("binary_file"))
        return
    text = _decode(data)
    if text is None:
        yield BadItem(file.locator, BadRecord.of("invalid_utf8", 0, data))
        return
    meta = _describe(file, text)
    document = Document(document_id(file.source, file.locator, text), text, file.source, meta=meta)
    yield RawDocument(document, file.locator, len(data))


def _describe(file: InputFile, text: str) -> dict[str, str]:
    meta = {"path": file.locator, "language": find_language(file.locator, text)}
    if not file.url:
        meta["repository"] = find_repository(file)
    if license_name := find_license(text) or (None if file.url else find_repository_license(file)):
        meta["license"] = license_name
    return meta


def _decode(data: bytes) -> str | None:
    """The text, in UTF-8 or in the character set that its first two lines declare."""
    declared = _CODING.match(data[:1000])
    for label in ("utf-8-sig", declared[1].decode() if declared else None):
        try:
            if label is not None and codecs.lookup(label).name in {*_NATIVE, "utf-8-sig"}:
                return data.decode(label)
        except (UnicodeDecodeError, LookupError):
            continue
    return None


READER = Reader(tuple(LANGUAGES), read, kind="code", select=select_files)
