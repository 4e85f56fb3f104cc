"""datatrove's DocumentTokenizer on a folder of JSON lines in zstd, in some processes.

    python tokenize_with_datatrove.py TEXT TOKENIZER OUTPUT PROCESSES

Needs nothing of llmforge: `make bench-peers` makes an environment for it.
"""

import multiprocessing
import sys

from datatrove.pipeline.readers import JsonlReader
from datatrove.pipeline.tokens import DocumentTokenizer


def run_rank(text: str, tokenizer: str, output: str, rank: int, world: int) -> None:
    """One process: its share of the files, documents in order."""
    reader = JsonlReader(text, compression="zstd")
    writer = DocumentTokenizer(
        output, tokenizer_name_or_path=tokenizer, eos_token="<|endoftext|>", shuffle_documents=False
    )
    writer.run(reader.run(None, rank, world), rank, world)


def main() -> None:
    """Start the processes and wait for them."""
    text, tokenizer, output, world = *sys.argv[1:4], int(sys.argv[4])
    context = multiprocessing.get_context("spawn")
    ranks = [context.Process(target=run_rank, args=(text, tokenizer, output, rank, world)) for rank in range(world)]
    for process in ranks:
        process.start()
    for process in ranks:
        process.join()
    if any(process.exitcode for process in ranks):
        sys.exit("a process of datatrove failed")


if __name__ == "__main__":
    main()
