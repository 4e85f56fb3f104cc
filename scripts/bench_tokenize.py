"""Times tokenization on text of your own: training against the library alone, and the whole stage from file to shards.

    python scripts/bench_tokenize.py DATA... [--megabytes 500] [--workers 2] [--parts train chosen reference datatrove]

DATA is files, folders or globs of JSON lines or Parquet. Their texts are repeated with edits (one word in twenty of
every copy is its own, so that no cache can know it) up to the size that is asked for; the text is the same in every
run. datatrove's DocumentTokenizer does the same work on the same text with the same tokenizer in as many processes:
`make bench-peers` makes its environment.

`chosen` is the encoder that the stage chooses, `reference` the `tokenizers` library in its place. Each stage runs in a
process of its own, once on the first shard and once on all, so that their peaks say whether memory grows with the text.
"""

import argparse
import multiprocessing
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest.mock import patch

from tokenizers import Tokenizer as LibraryTokenizer
from tokenizers import models, pre_tokenizers, trainers

from llmforge.config.schema import Settings
from llmforge.core.documents import Document
from llmforge.core.shards import read_documents, shard_writer
from llmforge.pipeline.build import BuildOptions, build_stage
from llmforge.pipeline.document_files import find_document_files, read_document_file
from llmforge.pipeline.inputs import InputFile
from llmforge.tokenize.algorithms import train
from llmforge.tokenize.stage import TOKENIZE
from llmforge.tokenize.tokenizer import EOS_TOKEN, Tokenizer
from llmforge.tokenize.training import slice_text

SHARDS = 8
PARTS = ("train", "chosen", "reference", "datatrove")
PEERS = Path(__file__).parents[1] / ".venv-peers" / "bin" / "python"


def main() -> None:
    """Print one line for each measurement."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", nargs="+")
    parser.add_argument("--megabytes", type=float, default=500)
    parser.add_argument("--train-megabytes", type=float, default=20)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--vocab-size", type=int, default=8192)
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--peers", type=Path, default=PEERS, help="the Python that has datatrove")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        bench(asked, Path(folder))


def bench(asked: argparse.Namespace, folder: Path) -> None:
    """Make the text, then time each way of working on it."""
    num_bytes = write_corpus(asked.data, folder / "text", int(asked.megabytes * 1e6))
    print(f"text: {num_bytes / 1e6:.0f} MB in {SHARDS} shards, {asked.workers} workers", flush=True)
    settings = Settings.model_validate(
        {
            "run": {"workers": asked.workers},
            "tokenize": {
                "data": str(folder / "text"),
                "vocab_size": asked.vocab_size,
                "tokenizer": str(folder / "tokenizer.json"),
                "max_record_bytes": 1 << 24,
            },
        }
    )
    time_training(settings, folder, int(asked.train_megabytes * 1e6), compare="train" in asked.parts)
    for part in ("chosen", "reference"):
        if part in asked.parts:
            time_encoding(settings, folder / part, num_bytes, part)
    if "datatrove" in asked.parts:
        time_datatrove(asked, folder, num_bytes)


def write_corpus(data: list[str], folder: Path, wanted_bytes: int) -> int:
    """Write the texts over and over, each copy edited, until there are enough; returns the size (UTF-8 bytes)."""
    copies = edited_copies([file for path in data for file in find_document_files(path)])
    made = 0
    for number in range(SHARDS):
        with shard_writer(folder / f"{number:05d}.jsonl.zst") as writer:
            while made < wanted_bytes * (number + 1) // SHARDS:
                document = next(copies)
                writer.write(document)
                made += document.num_bytes
    return made


def edited_copies(files: list[InputFile]) -> Iterator[Document]:
    """Every document again and again; one word in twenty gets the number of the copy."""
    number = 0
    while True:
        for file in files:
            for document in read_document_file(file, column=None, max_record_bytes=1 << 24):
                if isinstance(document, Document) and document.text:
                    number += 1
                    words = document.text.split(" ")
                    words[::20] = [f"{word}{number}" for word in words[::20]]
                    yield Document(f"{number:032x}", " ".join(words), document.source)


def time_training(settings: Settings, folder: Path, train_bytes: int, *, compare: bool) -> None:
    """Train from the first documents, read from their file: as the library alone would, and through our slices."""
    if compare:
        with timed("train bpe  tokenizers alone", train_bytes):
            train_library(settings.tokenize.num_tokens, first_texts(folder / "text", train_bytes))
    with timed("train bpe  llmforge", train_bytes):
        slices = (slice_text(text) for text in first_texts(folder / "text", train_bytes))
        tokenizer = Tokenizer(train(settings.tokenize, slices), EOS_TOKEN)
    tokenizer.save(folder / "tokenizer.json", folder / "tokenizer_config.json")


def train_library(vocab_size: int, texts: Iterator[str]) -> None:
    """Byte-level BPE as the library's own documentation trains it."""
    tokenizer = LibraryTokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size, min_frequency=2, initial_alphabet=alphabet, show_progress=False
    )
    tokenizer.train_from_iterator(texts, trainer)


def first_texts(folder: Path, num_bytes: int) -> Iterator[str]:
    """Documents up to about this much text."""
    for path in sorted(folder.iterdir()):
        for document in read_documents(path):
            if num_bytes <= 0:
                return
            num_bytes -= document.num_bytes
            yield document.text


def time_encoding(settings: Settings, run: Path, num_bytes: int, part: str) -> None:
    """The stage on the first shard, then on all: where memory is flat, both peaks are the same."""
    whole = Path(str(settings.tokenize.data))
    first = whole / f"{0:05d}.jsonl.zst"
    first_bytes = sum(document.num_bytes for document in read_documents(first))
    for name, data, size in (("one shard", first, first_bytes), ("all", whole, num_bytes)):
        section = settings.tokenize.model_copy(update={"data": str(data)})
        given = (settings.model_copy(update={"tokenize": section}), run / name, size, part)
        process = multiprocessing.get_context("spawn").Process(target=time_stage, args=given)
        process.start()
        process.join()
        if process.exitcode:
            sys.exit(f"encoding failed ({part}, {name})")


def time_stage(settings: Settings, run: Path, num_bytes: int, part: str) -> None:
    """Read, encode and write the whole text with the tokenizer."""
    with (
        patch.dict("llmforge.tokenize.encoders.FASTER", clear=part == "reference"),
        timed(f"encode     llmforge, {part}, {run.name}", num_bytes),
    ):
        manifest = build_stage(TOKENIZE, settings, run, BuildOptions()).manifest
    encoder, peak = manifest.results["encoder"]["name"], manifest.peak_rss_bytes / 2**20
    print(f"           {encoder}; at most {peak:.0f} MiB in one process", flush=True)


def time_datatrove(asked: argparse.Namespace, folder: Path, num_bytes: int) -> None:
    """The same work by datatrove, where it is installed."""
    if not asked.peers.exists():
        print("encode     datatrove: no environment; make one with `make bench-peers`")
        return
    script = Path(__file__).parent / "peers" / "tokenize_with_datatrove.py"
    given = [folder / "text", folder / "tokenizer.json", folder / "datatrove", asked.workers]
    with timed("encode     datatrove", num_bytes):
        done = subprocess.run([asked.peers, script, *map(str, given)], capture_output=True, text=True)
    if done.returncode:
        print(f"           it failed: {done.stderr[-500:]}")


@contextmanager
def timed(what: str, num_bytes: int) -> Iterator[None]:
    """Print the time on the clock, and that of the processors, which other work on the machine changes less."""
    start_s, start_cpu_s = time.perf_counter(), processor_seconds()
    yield
    elapsed_s, cpu_s = time.perf_counter() - start_s, processor_seconds() - start_cpu_s
    rates = f"{num_bytes / 1e6 / elapsed_s:6.1f} MB/s; processors {cpu_s:7.1f} s  {num_bytes / 1e6 / cpu_s:6.2f} MB/s"
    print(f"{what:38} {elapsed_s:7.1f} s  {rates}", flush=True)


def processor_seconds() -> float:
    """Processor time of this process and of all that it waited for (s)."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


if __name__ == "__main__":
    main()
