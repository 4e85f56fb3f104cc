r"""LaTeX sources of mathematics: the text between preamble and bibliography, with every command and formula kept.

Source: Wang et al., MathPile, arXiv 2312.17120, section 3 (arXiv papers): comments, what stands before the document
begins, and bibliographies are taken out; commands and mathematics stay, because a model of mathematics writes them.
Files are taken one by one: what `\input` names is a document of its own.
"""

import re
from collections.abc import Iterator

from llmforge.curate.readers import text as plain
from llmforge.curate.readers.items import Item, Reader, ReadOptions
from llmforge.pipeline.inputs import InputFile

_BEGIN = r"\begin{document}"
_END = r"\end{document}"
_BIBLIOGRAPHY = re.compile(r"\\begin\{thebibliography\}.*?(?:\\end\{thebibliography\}|\Z)", re.DOTALL)
_BIBLIOGRAPHY_FILE = re.compile(
    r"\\(?:bibliography|bibliographystyle|addbibresource|printbibliography)\b(?:[\[{][^\]}\n]{0,500}[\]}])*"
)
# A per cent sign begins a comment unless an odd number of backslashes stands before it.
_COMMENT = re.compile(r"(?<!\\)((?:\\\\)*)%.*")
_VERBATIM = re.compile(r"(\\begin\{(verbatim\*?|lstlisting|minted|Verbatim)\}.*?(?:\\end\{\2\}|\Z))", re.DOTALL)
_BLANK_LINES = re.compile(r"\n[ \t]*(?:\n[ \t]*){2,}")


def read(file: InputFile, options: ReadOptions) -> Iterator[Item]:
    """The file as one document, cleaned."""
    return plain.read_cleaned(file, options, clean)


def clean(text: str) -> str:
    """A LaTeX source without preamble, comments and bibliography; code listings stay as they are."""
    text = text.replace("\r\n", "\n")
    parts = _VERBATIM.split(text)
    # Three parts for each listing: what stands before it, the listing, and its environment's name.
    for place in range(0, len(parts), 3):
        parts[place] = _drop_comments(parts[place])
    text = "".join(part for place, part in enumerate(parts) if place % 3 < 2)
    body = text.split(_BEGIN, 1)[-1].split(_END, 1)[0]
    body = _BIBLIOGRAPHY_FILE.sub("", _BIBLIOGRAPHY.sub("", body))
    return _BLANK_LINES.sub("\n\n", body).strip()


def _drop_comments(text: str) -> str:
    """Without comments: a line that is nothing else goes whole, because an empty one would begin a paragraph."""
    lines = []
    for line in text.split("\n"):
        kept = _COMMENT.sub(r"\1", line)
        if kept == line or kept.strip():
            lines.append(kept)
    return "\n".join(lines)


READER = Reader((".tex", ".latex", ".ltx"), read, kind="maths")
