"""Reads pages of a WARC file and extracts them with datatrove: `extract_with_datatrove.py FILE`.

The extractor has the options that llmforge gives it. Each number N on standard input asks for the next N pages; the
answer is a line of JSON: how many pages gave a text, and their characters.
"""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any


def main() -> None:
    from datatrove.pipeline.extractors import Trafilatura
    from datatrove.pipeline.readers import WarcReader

    file = Path(sys.argv[1])
    reader = WarcReader(str(file.parent), glob_pattern=file.name, file_progress=False)
    pages = Counted(reader.run())
    documents = Trafilatura(favour_precision=False, deduplicate=False, timeout=20).run(pages)
    print("ready", flush=True)
    asked = 0
    for line in sys.stdin:
        asked += int(line)
        texts = []
        while pages.taken < asked and (document := next(documents, None)):
            texts.append(document.text)
        print(json.dumps({"pages": len(texts), "characters": sum(map(len, texts))}), flush=True)


class Counted:
    """An iterator that knows how many it gave."""

    def __init__(self, source: Iterator[Any]) -> None:
        self.source, self.taken = source, 0

    def __iter__(self) -> Iterator[Any]:
        for one in self.source:
            self.taken += 1
            yield one


if __name__ == "__main__":
    main()
