r"""LaTeX sources of mathematics: the text between preamble and bibliography, with every command and formula kept.

Source: Wang et al., MathPile, arXiv 2312.17120, section 3 (arXiv papers): comments, what stands before the document
begins, and bibliographies are taken out; commands and mathematics stay, because a model of mathematics writes them.
The comment environment counts as a comment.
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
_LITERAL = re.compile(r"\\begin\{(verbatim\*?|lstlisting|minted|Verbatim|comment)\}")
_BLANK_LINES = re.compile(r"\n[ \t]*(?:\n[ \t]*){2,}")


def read(file: InputFile, options: ReadOptions) -> Iterator[Item]:
    """The file as one document, cleaned."""
    return plain.read_cleaned(file, options, clean)


def clean(text: str) -> str:
    """A LaTeX source without preamble, comments and bibliography; code listings stay as they are."""
    text = "\n".join(_without_comments(text.replace("\r\n", "\n").split("\n")))
    body = text.split(_BEGIN, 1)[-1].split(_END, 1)[0]
    body = _BIBLIOGRAPHY_FILE.sub("", _BIBLIOGRAPHY.sub("", body))
    return _BLANK_LINES.sub("\n\n", body).strip()


def _without_comments(lines: list[str]) -> Iterator[str]:
    """The lines without comments; one that is nothing else goes whole, because an empty one would begin a paragraph."""
    environment = ""  # whose lines are taken as they are
    for line in lines:
        if not environment:
            comment, begun = _COMMENT.search(line), _LITERAL.search(line)
            if begun is None or (comment and comment.start() < begun.start()):
                kept = _COMMENT.sub(r"\1", line)
                if kept == line or kept.strip():
                    yield kept
                continue
            environment = begun[1]
            if environment == "comment" and (before := line[: begun.start()]).strip():
                yield before
        if environment != "comment":
            yield line
        if f"\\end{{{environment}}}" in line:
            environment = ""


READER = Reader((".tex", ".latex", ".ltx"), read, kind="maths")
