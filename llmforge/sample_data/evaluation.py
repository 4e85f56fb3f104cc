"""A small evaluation set, marked as a sample, for decontamination to protect.

Some items quote a sentence of the language reference word for word, so that the corpora made beside it are
contaminated with them; the others are found nowhere in the corpora.
"""

import re
from collections.abc import Iterator

import orjson

from llmforge.sample_data.library import language_reference

_QUOTED = (
    "assert assignment bltin-ellipsis-object booleans calls continue del execmodel for function global lambda "
    "naming raise return try while with yield"
).split()
_MIN_WORDS, _MAX_WORDS = 16, 45

_QUESTIONS = """
A basket holds 14 pears and 9 plums; how many pieces of fruit are in it? | 23
A train leaves at 10:40 and arrives at 13:05; how many minutes does it travel? | 145
A recipe for 4 people needs 300 grams of flour; how many grams do 6 people need? | 450
A shelf is 90 centimetres wide and every book takes 3 centimetres; how many books fit on it? | 30
Eva reads 25 pages on each weekday and 40 on each day of the weekend; how many pages does she read in a week? | 205
Which is heavier, a litre of water or a litre of cooking oil? | a litre of water
If every raven is black and this bird is not black, can this bird be a raven? | no
What comes next in the row 2, 5, 10, 17, 26? | 37
On which side of a moving bus do you see the shadow at noon when driving west in Norway? | the right side
A clock shows a quarter past three; what is the smaller angle between its hands, in degrees? | 7.5
Which month has a different number of days in some years than in others? | February
Put these in order from the smallest: a kilometre, a metre, a mile. | a metre, a kilometre, a mile
"""


def evaluation_items() -> list[bytes]:
    """The items, one JSON line each: id, question, answer, and the section that a quoting item quotes."""
    return [
        orjson.dumps({"id": f"llmforge-sample-{number:03d}", "set": "llmforge sample", **item}) + b"\n"
        for number, item in enumerate([*_plain_items(), *_quoting_items()])
    ]


def _plain_items() -> Iterator[dict[str, str | None]]:
    for line in _QUESTIONS.strip().splitlines():
        question, answer = (part.strip() for part in line.split("|"))
        yield {"question": question, "answer": answer, "quotes": None}


def _quoting_items() -> Iterator[dict[str, str | None]]:
    sections = language_reference()
    for label in _QUOTED:
        sentence = next(_sentences(sections.get(label, "")), None)
        if sentence:
            question = f"Which section of the Python language reference says the following? {sentence}"
            yield {"question": question, "answer": label, "quotes": label}


def _sentences(text: str) -> Iterator[str]:
    """Sentences of running prose, unwrapped, that are long enough to be found again."""
    for paragraph in re.split(r"\n\s*\n", text):
        if "::=" in paragraph or paragraph.startswith(" "):
            continue
        for sentence in re.split(r"(?<=[.?!])\s+(?=[A-Z])", " ".join(paragraph.split())):
            if _MIN_WORDS <= len(sentence.split()) <= _MAX_WORDS and sentence.endswith("."):
                yield sentence
