"""Reads pages of a WARC file and extracts them with datatrove: `extract_with_datatrove.py FILE NUM_PAGES`.

The extractor has the options that llmforge gives it. Prints one JSON object: pages with text, characters, processor
seconds of this process and its children, wall seconds.
"""

import json
import resource
import sys
import time
from pathlib import Path


def main() -> None:
    from datatrove.pipeline.extractors import Trafilatura
    from datatrove.pipeline.readers import WarcReader

    file = Path(sys.argv[1])
    reader = WarcReader(str(file.parent), glob_pattern=file.name, limit=int(sys.argv[2]), file_progress=False)
    extractor = Trafilatura(favour_precision=False, deduplicate=False, timeout=20)
    before, start = processor_s(), time.perf_counter()
    texts = [document.text for document in extractor.run(reader.run()) if document.text]
    figures = {"pages": len(texts), "characters": sum(map(len, texts)), "wall_s": time.perf_counter() - start}
    print(json.dumps({**figures, "cpu_s": processor_s() - before}))


def processor_s() -> float:
    used = [resource.getrusage(whose) for whose in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


if __name__ == "__main__":
    main()
