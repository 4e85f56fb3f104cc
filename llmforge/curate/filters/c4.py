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

from llmforge.config.curate_rules import C4Section
from llmforge.curate.filters.table import Edited
from llmforge.curate.filters.text_stats import TextStats
from llmforge.curate.readers.items import Verdict

_CITATION = re.compile(r"\[\d*]|\[edit]|\[citation needed]")
_POLICY = re.compile(r"terms of use|privacy policy|cookie policy|uses cookies|use of cookies|use cookies")
_SENTENCE_END = re.compile(
    r"(?<!\bMr)(?<!\bMrs)(?<!\bMs)(?<!\bDr)(?<!\bSt)[.?!]+[\"')\]\u2019\u201d]*(?=\s+[^a-z\s]|\s*$)"
)
_TERMINAL = (".", "?", "!", '"')


def judge(stats: TextStats, limits: C4Section) -> Verdict | Edited | None:
    """The lines that stay, as a new text if it differs; or why the page is dropped."""
    whole_page = limits.rule == "c4@paper"
    if whole_page and (found := _judge_content(stats.text, limits)):
        return found
    kept = []
    for line in map(str.strip, stats.text.splitlines()):
        clean = _CITATION.sub("", line)
        if not _is_sentence_line(clean, len((line if whole_page else clean).split()), limits):
            continue
        if not whole_page and (found := _judge_content(clean, limits)):
            return found
        if not _is_notice(clean):
            kept.append(clean)
    return _judge_kept(kept, stats.text, limits)


def count_sentences(line: str) -> int:
    """Sentences of a line, at least 1: ends of sentences before anything but a small letter."""
    return max(len(_SENTENCE_END.findall(line)), 1)


def _is_sentence_line(line: str, num_words: int, limits: C4Section) -> bool:
    return (
        (not limits.terminal_punctuation or (line.endswith(_TERMINAL) and not line.endswith("...")))
        and num_words >= limits.min_words_per_line
        and max(map(len, line.split()), default=0) <= limits.max_word_length
    )


def _is_notice(line: str) -> bool:
    lowered = line.lower()
    return "javascript" in lowered or _POLICY.search(lowered) is not None


def _judge_content(text: str, limits: C4Section) -> Verdict | None:
    if "lorem ipsum" in text.lower():
        return Verdict(f"{limits.rule}.lorem_ipsum")
    # The code looks for scripts after it has taken out the lines that name them.
    if "{" in text and (limits.rule == "c4@paper" or "javascript" not in text.lower()):
        return Verdict(f"{limits.rule}.curly_bracket")
    return None


def _judge_kept(kept: list[str], text: str, limits: C4Section) -> Verdict | Edited | None:
    num_sentences = sum(map(count_sentences, kept))
    if num_sentences < limits.min_sentences:
        return Verdict(f"{limits.rule}.too_few_sentences", num_sentences, limits.min_sentences)
    edited = "\n".join(kept).strip()
    return Edited(edited) if edited != text else None
