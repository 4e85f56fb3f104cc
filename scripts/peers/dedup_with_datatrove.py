"""datatrove's four-step MinHash pipeline on a folder of JSON lines in zstd: prints the seconds that it took, and kept.

    python dedup_with_datatrove.py TEXT OUTPUT PROCESSES

14 bands of 8 rows on word 5-grams, every step with as many processes as it can use. Needs nothing of llmforge:
`make bench-peers` makes an environment for it.
"""

import gzip
import multiprocessing
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from datatrove.pipeline.dedup import MinhashDedupBuckets, MinhashDedupCluster, MinhashDedupFilter, MinhashDedupSignature
from datatrove.pipeline.dedup.minhash import MinhashConfig
from datatrove.pipeline.readers import JsonlReader
from datatrove.pipeline.writers import JsonlWriter

BANDS = 14
CONFIG = MinhashConfig(n_grams=5, num_buckets=BANDS, hashes_per_bucket=8)


def sign(text: str, output: str, rank: int, world: int) -> None:
    documents = JsonlReader(text, compression="zstd").run(None, rank, world)
    MinhashDedupSignature(f"{output}/signatures", config=CONFIG).run(documents, rank, world)


def pair(text: str, output: str, rank: int, world: int) -> None:
    buckets = MinhashDedupBuckets(f"{output}/signatures", f"{output}/buckets", config=CONFIG)
    for bucket in range(rank, BANDS, world):
        buckets.run(None, bucket, BANDS)


def cluster(text: str, output: str, rank: int, world: int) -> None:
    MinhashDedupCluster(f"{output}/buckets", f"{output}/remove", config=CONFIG).run(None, 0, 1)


def write(text: str, output: str, rank: int, world: int) -> None:
    documents = JsonlReader(text, compression="zstd").run(None, rank, world)
    kept = MinhashDedupFilter(f"{output}/remove").run(documents, rank, world)
    for _ in JsonlWriter(f"{output}/kept").run(kept, rank, world):
        pass


def run_step(step: Callable[..., Any], text: str, output: str, world: int) -> None:
    """Start the processes of a step and wait for them."""
    context = multiprocessing.get_context("spawn")
    ranks = [context.Process(target=step, args=(text, output, rank, world)) for rank in range(world)]
    for process in ranks:
        process.start()
    for process in ranks:
        process.join()
    if any(process.exitcode for process in ranks):
        sys.exit("a process of datatrove failed")


def main() -> None:
    text, output, world = sys.argv[1], sys.argv[2], int(sys.argv[3])
    start = time.perf_counter()
    for step, processes in ((sign, world), (pair, world), (cluster, 1), (write, world)):
        run_step(step, text, output, processes)
    seconds = time.perf_counter() - start
    kept = sum(gzip.open(path).read().count(b"\n") for path in Path(output, "kept").glob("*"))
    print(seconds, kept)


if __name__ == "__main__":
    main()
