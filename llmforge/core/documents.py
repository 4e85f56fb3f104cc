"""A document: one JSON object with `id`, `text`, `source`, `url` and `meta`."""

import hashlib
from dataclasses import dataclass, field
from typing import Any

import orjson


@dataclass(slots=True)
class Document:
    """One text with where it came from.

    `id` is a content hash (see `document_id`); `url` may be empty; `meta` holds JSON values only.
    """

    id: str
    text: str
    source: str
    url: str = ""
    meta: dict[str, Any] = field(default_factory=dict)

    def to_json(self) -> bytes:
        """The document as one JSON line, without the newline."""
        return orjson.dumps(
            {"id": self.id, "text": self.text, "source": self.source, "url": self.url, "meta": self.meta}
        )

    @classmethod
    def from_json(cls, line: bytes) -> "Document":
        """Read a line that llmforge wrote."""
        value = orjson.loads(line)
        return cls(value["id"], value["text"], value["source"], value["url"], value["meta"])

    @property
    def num_bytes(self) -> int:
        """Size of the text in UTF-8 (bytes)."""
        return len(self.text.encode())


def document_id(source: str, locator: str, text: str) -> str:
    """Content hash of a document: 32 hexadecimal digits (128 bits).

    Args:
        source: name of the source.
        locator: where in the source the document stands (a path relative to the source and a record number,
            never an absolute path), so that equal texts at two places stay two documents.
        text: the document's text as it was read.
    """
    digest = hashlib.blake2b(digest_size=16)
    for part in (source, locator, text):
        encoded = part.encode("utf-8", "surrogatepass")
        digest.update(len(encoded).to_bytes(8, "little"))
        digest.update(encoded)
    return digest.hexdigest()
