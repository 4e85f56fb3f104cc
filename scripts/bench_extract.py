"""Times WARC to text, beside datatrove with the same version of the same extractor, and shows that memory stays flat.

    python scripts/bench_extract.py FILE.warc.gz [--pages 300] [--turns 3] [--alone]
    python scripts/bench_extract.py FILE.warc.gz --memory 10 100 1000

Both sides read the file with one process and extract in one more. llmforge's side has its safety around it: limits
of size and depth, a child process that can be killed alone, charsets, an account of every record. Its extractor runs
in the environment that `make bench-peers` makes, so that the version is datatrove's. Processor time of all processes
is compared; the sides take turns, and of each the least counts, for a machine that is busy at times slows either.

--memory repeats the file's records up to so many megabytes of input, curates each size, and prints the peak.
"""

import argparse
import gzip
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from unittest.mock import patch

from llmforge.config.curate import ExtractSection, SourceSection
from llmforge.curate.extract import Extractor, extract_page
from llmforge.curate.readers.items import RawDocument, ReadOptions
from llmforge.curate.readers.warc import read
from llmforge.pipeline.inputs import InputFile

PEERS = Path(__file__).parents[1] / ".venv-peers" / "bin" / "python"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path)
    parser.add_argument("--pages", type=int, default=300)
    parser.add_argument("--turns", type=int, default=3, help="of each side; the least processor time counts")
    parser.add_argument("--alone", action="store_true", help="without datatrove, with the extractors installed here")
    parser.add_argument("--memory", type=int, nargs="+", metavar="MB", help="sizes of input to curate")
    arguments = parser.parse_args()
    if arguments.memory:
        show_memory(arguments.file, arguments.memory)
        return
    measured = [measure(arguments) for _ in range(arguments.turns)]
    best = {name: min((turn[name] for turn in measured), key=lambda one: one["cpu_s"]) for name in measured[0]}
    for name, figures in best.items():
        show(name, figures, best.get("datatrove, trafilatura") if name.startswith("llmforge") else None)


def measure(arguments: argparse.Namespace) -> dict[str, dict[str, float]]:
    """Every side once."""
    file, pages, sides = arguments.file, arguments.pages, {}
    if not arguments.alone:
        sides["datatrove, trafilatura"] = extract_with_datatrove(file, pages)
    python = sys.executable if arguments.alone else str(PEERS)
    sides["llmforge, trafilatura"] = extract_here(file, pages, "trafilatura", python)
    sides["llmforge, resiliparse"] = extract_here(file, pages, "resiliparse", sys.executable)
    return sides


def show(name: str, figures: dict[str, float], theirs: dict[str, float] | None) -> None:
    """One row of the table."""
    times = f"  {theirs['cpu_s'] / figures['cpu_s']:.2f} times datatrove" if theirs is not None else ""
    rate = figures["pages"] / figures["cpu_s"]
    print(
        f"{name:<24}{figures['pages']:>6.0f} pages  {figures['characters']:>10,.0f} characters"
        f"{figures['cpu_s']:>8.2f} s of processor{figures['wall_s']:>8.2f} s{rate:>8.1f} pages/s{times}"
    )


def extract_here(file: Path, num_pages: int, engine: str, python: str) -> dict[str, float]:
    """The first pages through llmforge's reader and extractor, whose child runs under `python`."""
    section = SourceSection(path=str(file))
    options = ReadOptions(section, 8 << 20, Counter())
    with patch.object(sys, "executable", python):
        extractor = Extractor(ExtractSection(engine=engine))
        before, start = processor_s(), time.perf_counter()
        pages = (item for item in read(to_input(file), options) if isinstance(item, RawDocument) and item.html)
        items = [extract_page(page, extractor) for page in islice(pages, num_pages)]
        texts = [item.document.text for item in items if isinstance(item, RawDocument) and item.document.text]
        extractor.close()  # its processor time counts when it has ended
    figures = {"pages": len(texts), "characters": sum(map(len, texts)), "wall_s": time.perf_counter() - start}
    return {**figures, "cpu_s": processor_s() - before}


def to_input(file: Path) -> InputFile:
    return InputFile(file, "bench", file.name, file.stat().st_size)


def processor_s() -> float:
    """Processor time of this process and of its children that have ended (seconds)."""
    used = [resource.getrusage(whose) for whose in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


def extract_with_datatrove(file: Path, num_pages: int) -> dict[str, float]:
    """The same of datatrove, in its own environment."""
    script = Path(__file__).parent / "peers" / "extract_with_datatrove.py"
    command = [str(PEERS), str(script), str(file.resolve()), str(num_pages)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    figures: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return figures


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
