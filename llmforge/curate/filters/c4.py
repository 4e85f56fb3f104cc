"""C4's rules: lines that are no sentences are taken out, and pages with too little left are dropped.

                     @paper                                    @code (TensorFlow Datasets)
    words a line     3 at least, before citation marks go      5 at least, after they went
    sentences        5 at least                                3 at least
    `lorem ipsum`,   anywhere on the page                      in a line that has passed the tests before it
    `{`

Both keep lines that end in a full stop, an exclamation mark, a question mark or a straight quotation mark and not in
three dots, take out lines with a word of more than 1000 characters, lines that name JavaScript or speak of policies
and cookies, and remove citation marks from the lines that stay. Sentences are told by their ends, where the code has
NLTK's trained splitter. The list of bad words and the removal of repeated spans are no part of this rule.

Source: Raffel et al., Exploring the Limits of Transfer Learning, arXiv 1910.10683, section 2.2; TensorFlow
Datasets, c4_utils.
"""

import re
from collections.abc import Iterator

from llmforge.config.filters.prose import C4Section
from llmforge.curate.filters.findings import Condition, Edited, Finding, Removal
from llmforge.curate.filters.text_stats import TextStats

_CITATION = re.compile(r"\[\d*]|\[edit]|\[citation needed]")
_POLICY = re.compile(r"terms of use|privacy policy|cookie policy|uses cookies|use of cookies|use cookies")
# The marks that end a sentence come first in the pattern, since their search is fast; what stands before comes after.
# Nothing is tried twice (`*+`), and a run of marks counts from its first: a million dots take no time.
_SENTENCE_END = re.compile(
    r"[.?!](?<![.?!]{2})(?<!\bMr[.?!])(?<!\bMrs[.?!])(?<!\bMs[.?!])(?<!\bDr[.?!])(?<!\bSt[.?!])[.?!]*+"
    r"[\"')\]\u2019\u201d]*+(?=\s+[^a-z\s]|\s*$)"
)
_TERMINAL = (".", "?", "!", '"')


def examine(stats: TextStats, limits: C4Section) -> Iterator[Finding]:
    """What the page must not hold, the lines that stay, and whether they are enough."""
    if limits.rule == "c4@paper":
        yield from _examine_content(stats.text.splitlines(), by_paper=True)
    kept, passed, removed = _sort_lines(stats.text, limits)
    if limits.rule == "c4@code":
        yield from _examine_content(passed, by_paper=False)
    text = "\n".join(kept).strip()
    if text != stats.text:
        yield Edited(text, tuple(removed))
    num_sentences = sum(map(count_sentences, kept))
    yield Condition("too_few_sentences", num_sentences, limits.min_sentences, ">=", "min_sentences")


def _sort_lines(text: str, limits: C4Section) -> tuple[list[str], list[str], list[Removal]]:
    """Lines that stay; lines that pass the tests of form, notices among them; and what is taken out."""
    kept, passed, removed = [], [], []
    speaks = _find_notice(text.lower()) is not None
    for line in map(str.strip, text.splitlines()):
        clean = _CITATION.sub("", line) if "[" in line else line
        words = clean.split()
        num_words = len(line.split()) if limits.rule == "c4@paper" and clean is not line else len(words)
        if fault := _find_fault(clean, words, num_words, limits):
            removed.append(Removal(fault, line))
            continue
        passed.append(clean)
        if speaks and (fault := _find_notice(clean.lower())):
            removed.append(Removal(fault, line))
            continue
        kept.append(clean)
        if clean != line:
            removed.extend(Removal("citation", mark) for mark in _CITATION.findall(line))
    return kept, passed, removed


def count_sentences(line: str) -> int:
    """Sentences of a line, at least 1: ends of sentences before anything but a small letter."""
    if line.count(".") + line.count("?") + line.count("!") < 2:
        return 1
    return max(len(_SENTENCE_END.findall(line)), 1)


def _find_fault(line: str, words: list[str], num_words: int, limits: C4Section) -> str | None:
    """Why a line is no sentence."""
    if limits.terminal_punctuation and (not line.endswith(_TERMINAL) or line.endswith("...")):
        return "no_end_mark"
    if num_words < limits.min_words_per_line:
        return "few_words"
    longest = max(map(len, words)) if len(line) > limits.max_word_length else 0
    return "long_word" if longest > limits.max_word_length else None


def _find_notice(lowered: str) -> str | None:
    """What a line speaks of that has nothing to do with the page."""
    if "javascript" in lowered:
        return "javascript"
    return "policy" if _POLICY.search(lowered) else None


def _examine_content(lines: list[str], by_paper: bool) -> Iterator[Condition]:
    """Filler and code, of which a page must hold none; the code looks for scripts in lines that name none."""
    fillers = [line for line in lines if "lorem ipsum" in line.lower()]
    yield Condition("lorem_ipsum", len(fillers), 0, "<=", offender=lambda: fillers[0] if fillers else "")
    braces = [line for line in lines if "{" in line and (by_paper or "javascript" not in line.lower())]
    yield Condition("curly_bracket", len(braces), 0, "<=", offender=lambda: braces[0] if braces else "")
