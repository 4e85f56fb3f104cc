"""Times tokenization on text of your own: training against the library alone, and the whole stage from file to shards.

    python scripts/bench_tokenize.py DATA [--megabytes 500] [--workers 2] [--vocab-size 8192]

DATA is a file, folder or glob of JSON lines or Parquet. Its texts are repeated with edits (every copy gets words of
its own, so that no cache can know it) up to the size that is asked for. Where `datatrove` is installed, its
DocumentTokenizer does the same work on the same text with the same tokenizer, in the same number of processes.
"""

import argparse
import multiprocessing
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from llmforge.config.schema import Settings
from llmforge.core.documents import Document
from llmforge.core.shards import read_documents, shard_writer
from llmforge.pipeline.build import BuildOptions, build_stage
from llmforge.pipeline.document_files import find_document_files, read_document_file
from llmforge.tokenize.algorithms import train
from llmforge.tokenize.encoders import REFERENCE
from llmforge.tokenize.stage import TOKENIZE
from llmforge.tokenize.training import slice_text

SHARDS = 8


def main() -> None:
    """Print one line for each measurement."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data")
    parser.add_argument("--megabytes", type=float, default=500)
    parser.add_argument("--train-megabytes", type=float, default=20)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--vocab-size", type=int, default=8192)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        bench(asked, Path(folder))


def bench(asked: argparse.Namespace, folder: Path) -> None:
    """Make the text, then time each way of working on it."""
    num_bytes = write_corpus(asked.data, folder / "text", int(asked.megabytes * 1e6))
    print(f"text: {num_bytes / 1e6:.0f} MB in {SHARDS} shards, {asked.workers} workers")
    settings = stage_settings(asked, folder)
    time_training(settings, folder / "text")
    build_stage(TOKENIZE, settings, folder / "warm", BuildOptions())
    tokenizer = str(folder / "warm" / "tokenize" / "tokenizer.json")
    for encoder in ("chosen", REFERENCE):
        time_stage(settings, folder, tokenizer, encoder, num_bytes)
    time_datatrove(folder, tokenizer, asked.workers, num_bytes)


def write_corpus(data: str, folder: Path, wanted_bytes: int) -> int:
    """Write the texts over and over, each copy edited, until there are enough; returns the size (UTF-8 bytes)."""
    files = find_document_files(data)
    made = 0
    copies = _edited_copies(files)
    for number in range(SHARDS):
        limit = wanted_bytes * (number + 1) // SHARDS
        with shard_writer(folder / f"{number:05d}.jsonl.zst") as writer:
            while made < limit:
                document = next(copies)
                writer.write(document)
                made += document.num_bytes
    return made


def _edited_copies(files: tuple) -> Iterator[Document]:
    number = 0
    while True:
        for file in files:
            for document in read_document_file(file, column=None, max_record_bytes=1 << 24):
                if isinstance(document, Document) and document.text:
                    number += 1
                    words = document.text.split(" ")
                    step = max(2, len(words) // 20)
                    words[::step] = [f"{word}{number}" for word in words[::step]]
                    yield Document(f"{number:032x}", " ".join(words), document.source)


def stage_settings(asked: argparse.Namespace, folder: Path) -> Settings:
    """The stage on the made text, its tokenizer trained on a part of it."""
    tokenize = {
        "data": str(folder / "text"),
        "vocab_size": asked.vocab_size,
        "max_train_bytes": int(asked.train_megabytes * 1e6),
    }
    return Settings.model_validate({"run": {"workers": asked.workers}, "tokenize": tokenize})


def time_training(settings: Settings, text: Path) -> None:
    """Train from a list in memory, as the library alone would, and through our slices."""
    limit, texts = settings.tokenize.max_train_bytes, []
    for document in read_documents(text / "00000.jsonl.zst"):
        if limit <= 0:
            break
        texts.append(document.text)
        limit -= document.num_bytes
    for name, batches in (("library alone", [texts]), ("llmforge's slices", [slice_text(text) for text in texts])):
        start = time.perf_counter()
        train(settings.tokenize, batches)
        print(f"train bpe  {name:18} {time.perf_counter() - start:8.2f} s")


def time_stage(settings: Settings, folder: Path, tokenizer: str, encoder: str, num_bytes: int) -> None:
    """Read, encode and write the whole text with a tokenizer that is there already."""
    existing = settings.tokenize.model_copy(update={"tokenizer": tokenizer})
    with without_fast_encoder(encoder == REFERENCE):
        start = time.perf_counter()
        chosen = settings.model_copy(update={"tokenize": existing})
        built = build_stage(TOKENIZE, chosen, folder / f"run-{encoder}", BuildOptions())
        _print_rate(f"llmforge ({built.manifest.results['encoder']['name']})", time.perf_counter() - start, num_bytes)
        print(f"           peak memory of one process {built.manifest.peak_rss_bytes / 2**20:.0f} MiB")


@contextmanager
def without_fast_encoder(hidden: bool) -> Iterator[None]:
    """Hide tiktoken, so that the reference is chosen."""
    before = sys.modules.get("tiktoken")
    if hidden:
        sys.modules["tiktoken"] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        sys.modules.pop("tiktoken", None)
        if before is not None:
            sys.modules["tiktoken"] = before


def time_datatrove(folder: Path, tokenizer: str, workers: int, num_bytes: int) -> None:
    """The same work by datatrove, where it is installed."""
    try:
        import datatrove  # noqa: F401
    except ImportError:
        print("encode     datatrove is not installed: pip install datatrove[processing]")
        return
    context = multiprocessing.get_context("spawn")
    start = time.perf_counter()
    processes = [
        context.Process(target=run_datatrove, args=(folder, tokenizer, rank, workers)) for rank in range(workers)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    if any(process.exitcode for process in processes):
        print("encode     datatrove failed; see its messages above")
        return
    _print_rate("datatrove", time.perf_counter() - start, num_bytes)


def run_datatrove(folder: Path, tokenizer: str, rank: int, world: int) -> None:
    """One process of datatrove: its share of the shards, documents in order."""
    from datatrove.pipeline.readers import JsonlReader
    from datatrove.pipeline.tokens import DocumentTokenizer

    reader = JsonlReader(str(folder / "text"), compression="zstd")
    writer = DocumentTokenizer(
        str(folder / "datatrove"), tokenizer_name_or_path=tokenizer, eos_token="<|endoftext|>", shuffle_documents=False
    )
    writer.run(reader.run(None, rank, world), rank, world)


def _print_rate(name: str, seconds: float, num_bytes: int) -> None:
    print(f"encode     {name:24} {seconds:8.1f} s  {num_bytes / 1e6 / seconds:8.1f} MB/s")


if __name__ == "__main__":
    main()
