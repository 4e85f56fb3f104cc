r"""Mathematics in Markdown: the text with every command and formula kept.

Source: Wang et al., MathPile, arXiv 2312.17120, section 3, as for LaTeX: what stands before the document (front
matter), comments and the list of references are taken out; commands, formulas and code stay as they are.
"""

import re
from collections.abc import Iterator

from llmforge.curate.readers import text as plain
from llmforge.curate.readers.items import Item, Reader, ReadOptions
from llmforge.pipeline.inputs import InputFile

_FRONT_MATTER = re.compile(r"\A(---|\+\+\+)[ \t]*\n.*?\n\1[ \t]*(?:\n|\Z)", re.DOTALL)
_FENCED = re.compile(r"(^(`{3,}|~{3,})[^\n]*\n.*?(?:^\2[ \t]*$|\Z))", re.DOTALL | re.MULTILINE)
_CODE_OR_COMMENT = re.compile(
    r"(`[^`\n]*`)|<!--.*?(?:-->|\Z)|^\[(?://|comment)\]: #[^\n]*$", re.DOTALL | re.MULTILINE | re.IGNORECASE
)
_REFERENCES = re.compile(r"^#{1,4}[ \t]*(?:references|bibliography|works cited)[ \t#]*$", re.IGNORECASE | re.MULTILINE)
_HEADING = re.compile(r"^#{1,4}[ \t]+\S", re.MULTILINE)
_BLANK_LINES = re.compile(r"\n[ \t]*(?:\n[ \t]*){2,}")


def read(file: InputFile, options: ReadOptions) -> Iterator[Item]:
    """The file as one document, cleaned."""
    return plain.read_cleaned(file, options, clean)


def clean(text: str) -> str:
    """A Markdown text without front matter, comments and references; fenced code stays as it is."""
    text = _FRONT_MATTER.sub("", text.replace("\r\n", "\n"))
    parts = _FENCED.split(text)
    # Three parts for each piece of code: what stands before it, the code, and its fence.
    for place in range(0, len(parts), 3):
        parts[place] = _BLANK_LINES.sub("\n\n", _CODE_OR_COMMENT.sub(r"\1", parts[place]))
    return _drop_references("".join(part for place, part in enumerate(parts) if place % 3 < 2)).strip()


def _drop_references(text: str) -> str:
    """Without the section of references, up to the next heading."""
    found = _REFERENCES.search(text)
    if found is None:
        return text
    following = _HEADING.search(text, found.end())
    return text[: found.start()] + (text[following.start() :] if following is not None else "")


READER = Reader((".md", ".markdown", ".mdx", ".qmd", ".rmd"), read, kind="maths")
