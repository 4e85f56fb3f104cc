"""datatrove's filters on a file of JSON lines: prints documents, those kept, processor seconds and wall seconds.

    python filter_with_datatrove.py TEXTS LANGUAGE_MODEL

Each filter stops a document at its first violation, as datatrove's pipelines do. Needs nothing of llmforge:
`make bench-peers` makes an environment for it.
"""

import json
import sys
import time

from datatrove.data import Document
from datatrove.pipeline.filters import (
    C4QualityFilter,
    FineWebQualityFilter,
    GopherQualityFilter,
    GopherRepetitionFilter,
    LanguageFilter,
)
from fasttext.FastText import _FastText


def build_filters(model: str) -> list:
    """FineWeb's chain, with the language model that the other side has."""
    language = LanguageFilter(["en"], language_threshold=0.65)
    language.model._model = _FastText(model)
    return [
        language,
        GopherRepetitionFilter(),
        GopherQualityFilter(),
        C4QualityFilter(filter_no_terminal_punct=False),
        FineWebQualityFilter(),
    ]


def passes(document: Document, filters: list) -> bool:
    """Whether every filter lets a document pass."""
    for one in filters:
        found = one.filter(document)
        if (found[0] if isinstance(found, tuple) else found) is not True:
            return False
    return True


def main() -> None:
    """Filter the texts."""
    with open(sys.argv[1]) as lines:
        documents = [Document(text=json.loads(line)["text"], id=str(number)) for number, line in enumerate(lines)]
    filters = build_filters(sys.argv[2])
    passes(documents[0], filters)  # loads what is loaded when first needed
    cpu, wall = time.process_time(), time.perf_counter()
    num_kept = sum(passes(document, filters) for document in documents)
    print(len(documents), num_kept, time.process_time() - cpu, time.perf_counter() - wall)


if __name__ == "__main__":
    main()
