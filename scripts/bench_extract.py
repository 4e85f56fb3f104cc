"""Times WARC to text, beside datatrove with the same version of the same extractor, and shows that memory stays flat.

    python scripts/bench_extract.py FILE.warc.gz [--pages 300] [--alone]
    python scripts/bench_extract.py FILE.warc.gz --memory 10 100 1000

Every side reads the file with one process and extracts in one more. llmforge's side has its safety around it: limits
of size and depth, a child process that can be killed alone, charsets, an account of every record. The sides take
turns of ten pages, each in its own processes, so that a machine that is busy at times slows all of them; what is
compared is the time from the first page to the last, with the start of the extraction process. datatrove keeps to an
old version of trafilatura: one of llmforge's sides extracts with that one, in the environment of `make bench-peers`.

--memory repeats the file's records up to so many megabytes of input, curates each size, and prints the peak.
"""

import argparse
import gzip
import json
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from itertools import islice
from pathlib import Path
from unittest.mock import patch

from llmforge.config.curate import ExtractSection, SourceSection
from llmforge.curate.extract import Extractor, extract_page
from llmforge.curate.readers.items import RawDocument, ReadOptions
from llmforge.curate.readers.warc import read
from llmforge.pipeline.inputs import InputFile

PEERS = Path(__file__).parents[1] / ".venv-peers" / "bin" / "python"
TURN_PAGES = 10
VERSION = "import importlib.metadata as m; print(m.version('trafilatura'))"

Turn = Callable[[int], dict[str, int]]
"""The next pages of a side: how many gave a text, and their characters."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path)
    parser.add_argument("--pages", type=int, default=300)
    parser.add_argument("--alone", action="store_true", help="without datatrove and its version of trafilatura")
    parser.add_argument("--memory", type=int, nargs="+", metavar="MB", help="sizes of input to curate")
    arguments = parser.parse_args()
    if arguments.memory:
        show_memory(arguments.file, arguments.memory)
        return
    with ExitStack() as stack:
        sides = start_sides(arguments.file, arguments.alone, stack)
        show(measure(sides, arguments.pages))


def start_sides(file: Path, alone: bool, stack: ExitStack) -> dict[str, Turn]:
    """The sides by their names; with datatrove, it is the first."""
    sides: dict[str, Turn] = {}
    pythons = [Path(sys.executable)] if alone else [PEERS, Path(sys.executable)]
    versions = [subprocess.check_output([python, "-c", VERSION], text=True).strip() for python in pythons]
    if not alone:
        sides[f"datatrove, trafilatura {versions[0]}"] = start_datatrove(file, stack)
    for python, version in zip(pythons, versions, strict=True):
        sides[f"llmforge, trafilatura {version}"] = start_llmforge(file, "trafilatura", python, stack)
    sides["llmforge, resiliparse"] = start_llmforge(file, "resiliparse", Path(sys.executable), stack)
    return sides


def start_llmforge(file: Path, engine: str, python: Path, stack: ExitStack) -> Turn:
    """Llmforge's reader and extractor, whose child runs under `python`."""
    options = ReadOptions(SourceSection(path=str(file)), 8 << 20, Counter())
    extractor = Extractor(ExtractSection(engine=engine))
    stack.callback(extractor.close)
    source = InputFile(file, "bench", file.name, file.stat().st_size)
    pages = (item for item in read(source, options) if isinstance(item, RawDocument) and item.html)

    def turn(num_pages: int) -> dict[str, int]:
        with patch.object(sys, "executable", str(python)):
            items = [extract_page(page, extractor) for page in islice(pages, num_pages)]
        texts = [item.document.text for item in items if isinstance(item, RawDocument) and item.document.text]
        return {"pages": len(texts), "characters": sum(map(len, texts))}

    return turn


def start_datatrove(file: Path, stack: ExitStack) -> Turn:
    """The same of datatrove, in its own environment; its imports are over when this returns."""
    script = Path(__file__).parent / "peers" / "extract_with_datatrove.py"
    command = [str(PEERS), str(script), str(file.resolve())]
    process = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    stack.callback(process.kill)
    asks, answers = process.stdin, process.stdout
    assert asks is not None
    assert answers is not None
    if answers.readline() != "ready\n":
        raise RuntimeError(f"{script.name} did not start under {PEERS}; `make bench-peers` makes that environment")

    def turn(num_pages: int) -> dict[str, int]:
        asks.write(f"{num_pages}\n")
        asks.flush()
        figures: dict[str, int] = json.loads(answers.readline())
        return figures

    return turn


def measure(sides: dict[str, Turn], num_pages: int) -> dict[str, Counter[str]]:
    """Pages with text, characters and seconds of each side, which take turns and begin them in turn."""
    figures: dict[str, Counter[str]] = {name: Counter() for name in sides}
    names = list(sides)
    for index in range(0, num_pages, TURN_PAGES):
        first = index // TURN_PAGES % len(names)
        for name in names[first:] + names[:first]:
            start = time.perf_counter()
            figures[name].update(sides[name](min(TURN_PAGES, num_pages - index)))
            figures[name]["us"] += round(1e6 * (time.perf_counter() - start))
    return figures


def show(figures: dict[str, Counter[str]]) -> None:
    """A row of each side."""
    theirs = next((one for name, one in figures.items() if name.startswith("datatrove")), None)
    for name, one in figures.items():
        times = "" if theirs is None or one is theirs else f"{theirs['us'] / one['us']:>8.2f} times datatrove"
        print(
            f"{name:<30}{one['pages']:>6} pages{one['characters']:>12,} characters"
            f"{one['us'] / 1e6:>8.2f} s{one['pages'] / one['us'] * 1e6:>8.1f} pages/s{times}"
        )


def show_memory(file: Path, sizes: list[int]) -> None:
    """The peak memory of `llmforge curate` over inputs of several sizes."""
    for size in sizes:
        with tempfile.TemporaryDirectory() as folder:
            data = Path(folder, "pages.warc")
            num_bytes = write_pages(file, data, size * 1_000_000)
            settings = ["run.dir=" + folder, "run.name=bench", "run.workers=1", "curate.extract.engine=resiliparse"]
            settings.append("curate.max_bad_fraction=0.1")  # the last record is cut off
            sets = [word for setting in settings for word in ("--set", setting)]
            command = [sys.executable, "-m", "llmforge", "curate", "--data", str(data), "--json", "--quiet", *sets]
            start = time.perf_counter()
            subprocess.run(command, check=True, capture_output=True)
            manifest = json.loads(Path(folder, "bench", "curate", "manifest.json").read_text())
            peak, documents = manifest["peak_rss_bytes"] / 1e6, manifest["counts"]["documents"]["in"]
            took = time.perf_counter() - start
            print(
                f"{num_bytes / 1e6:>8,.0f} MB of input{documents:>10,} documents{peak:>8.0f} MB at most{took:>8.0f} s"
            )


def write_pages(file: Path, target: Path, num_bytes: int) -> int:
    """The content of an archive over and over, in whole copies and the beginning of one more."""
    written = 0
    with open(target, "wb") as out:
        while written < num_bytes:
            for piece in pieces(file):
                written += out.write(piece[: num_bytes - written])
    return written


def pieces(file: Path) -> Iterator[bytes]:
    with gzip.open(file) if file.suffix == ".gz" else open(file, "rb") as stream:
        while piece := stream.read(1 << 20):
            yield piece


if __name__ == "__main__":
    main()
