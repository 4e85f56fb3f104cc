import gzip
import json
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from curating import Result

from llmforge.curate.readers.latex import clean

PAPER = r"""\documentclass{article}
\usepackage{amsmath} % for align
\title{On bridges}
\begin{document}
% a note to myself
We show that 50\% of all $x \in \mathbb{R}$ are \emph{large}. % is it true?
\\% a comment after a line break
    % an indented one
The bound \eqref{b} holds~\cite{euler}.



\begin{verbatim}
printf("100%d"); % stays
\end{verbatim}
\bibliographystyle{plain}
\bibliography{refs,more}
\begin{thebibliography}{9}
\bibitem{euler} L. Euler.
\end{thebibliography}
\end{document}
What stands here was never meant to be read.
"""

CLEANED = r"""We show that 50\% of all $x \in \mathbb{R}$ are \emph{large}. 
\\
The bound \eqref{b} holds~\cite{euler}.

\begin{verbatim}
printf("100%d"); % stays
\end{verbatim}"""  # noqa: W291


def test_commands_stay_and_preamble_comments_and_bibliography_go() -> None:
    assert clean(PAPER) == CLEANED


def test_a_comment_environment_goes_and_what_only_looks_like_one_stays() -> None:
    kept = "\\begin{verbatim} 3% of \\begin{comment} \\end{verbatim}"
    source = f"one\n\\begin{{comment}}\n5\\% x\n\\end{{comment}}\ntwo\n% \\begin{{comment}}\n{kept}\nthree % x"
    assert clean(source) == f"one\ntwo\n{kept}\nthree"


def test_a_part_of_a_paper_has_no_preamble() -> None:
    assert clean("\\section{One}\r\nText. % note\r\n") == "\\section{One}\nText."


@pytest.mark.parametrize("text", ["", "% only\n% comments\n", "\\begin{document}\n\\end{document}"])
def test_nothing_is_left_of_a_source_without_text(text: str) -> None:
    assert clean(text) == ""


def test_cleaning_twice_changes_nothing_more() -> None:
    assert clean(clean(PAPER)) == clean(PAPER)


def test_what_is_never_closed_takes_little_time() -> None:
    started = time.process_time()
    assert clean("a \\begin{verbatim}%" * 20_000) == "a \\begin{verbatim}%" * 20_000  # one listing to the end
    assert clean("a \\begin{thebibliography}" * 20_000) == "a"
    assert clean("\\bibliography{" * 20_000) == "{" * 20_000
    assert clean("\\" * 100_001 + "% x") == "\\" * 100_001 + "% x"
    assert time.process_time() - started < 10


def test_a_folder_of_sources_is_known_by_its_endings(curate: Callable[..., Result], tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / "paper.tex").write_text(PAPER)
    (folder / "empty.tex").write_text("% nothing\n")
    (folder / "bad.tex").write_bytes(b"caf\xe9")
    result = curate(folder)
    assert result.texts == [CLEANED]
    assert result.rules == {"empty_text": 1}
    assert result.errors == {"invalid_utf8": 1}
    assert result.manifest.counts["bytes"]["edited"] == len(PAPER) - len(CLEANED)


def test_real_sources_keep_their_mathematics(real_data: Path) -> None:
    with gzip.open(real_data / "math" / "latex_texts.jsonl.gz") as lines:
        texts = [json.loads(line)["text"] for line in lines]
    cleaned = [clean(text) for text in texts]
    assert sum(map(len, cleaned)) > 0.85 * sum(map(len, texts))
    assert not any("\\begin{document}" in text or "\\begin{thebibliography}" in text for text in cleaned)
