"""Benchmark of near-deduplication: quality on labelled sets, and speed beside other tools on the same documents.

    python scripts/bench_dedup.py labelled FOLDER         precision, recall, F1 and cluster agreement
    python scripts/bench_dedup.py speed FOLDER -n 10000 100000 --peers datasketch datasketch-pool
    python scripts/bench_dedup.py speed FOLDER -n 5000 --peers datatrove            (after `make bench-peers`)

FOLDER holds JSON lines (.jsonl.gz): labelled sets have a `cluster` key, or a .pairs.tsv beside them; for `speed` it
holds real texts, from whose sentences documents of 2 kB are made. Half of the documents stand alone, the others
are copies of them with words replaced.
"""

import argparse
import csv
import gzip
import json
import os
import random
import re
import subprocess
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from math import comb
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llmforge.config.schema import Settings
from llmforge.core.shards import read_objects, shard_writer
from llmforge.dedup.stage import DEDUP
from llmforge.pipeline.build import BuildOptions, build_stage

if TYPE_CHECKING:  # each process that is spawned imports this file: ours need not pay for datasketch and scipy
    from datasketch import MinHash

DOCUMENT_BYTES = 2000
SHARD_DOCUMENTS = 5_000
BANDS, ROWS = 14, 8


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    labelled = commands.add_parser("labelled")
    labelled.add_argument("folder", type=Path)
    speed = commands.add_parser("speed")
    speed.add_argument("folder", type=Path)
    speed.add_argument("-n", "--documents", type=int, nargs="+", default=[10_000])
    speed.add_argument("--workers", type=int, default=2)
    speed.add_argument("--peers", nargs="*", default=[], choices=sorted(PEERS))
    arguments = parser.parse_args()
    if arguments.command == "labelled":
        measure_labelled(arguments.folder)
    else:
        measure_speed(arguments.folder, arguments.documents, arguments.workers, arguments.peers)


# --- quality -----------------------------------------------------------------------------------------------------


def measure_labelled(folder: Path) -> None:
    print(f"{'set':24} {'documents':>9} {'pairs':>6} {'precision':>9} {'recall':>7} {'F1':>6} {'ARI':>6} {'proven':>7}")
    for path in sorted(folder.glob("*.jsonl.gz")):
        records = [json.loads(line) for line in gzip.open(path, "rt", encoding="utf-8")]
        truth = true_clusters(path, records)
        if truth is None:
            continue
        with tempfile.TemporaryDirectory() as temporary:
            predicted, lowest = predicted_clusters(records, Path(temporary))
        precision, recall, agreement = compare_clusters(truth, predicted)
        f1 = 2 * precision * recall / max(precision + recall, 1e-9)
        print(
            f"{path.name.split('.')[0]:24} {len(records):9,} {num_pairs(truth):6,} {precision:9.4f} {recall:7.4f} "
            f"{f1:6.4f} {agreement:6.4f} {lowest:7.3f}"
        )


def true_clusters(path: Path, records: list[dict[str, Any]]) -> dict[str, Any] | None:
    """By id, which cluster a document belongs to; None if the set has no labels."""
    pairs = path.with_name(path.name.replace(".jsonl.gz", ".pairs.tsv"))
    if pairs.exists():
        clusters = {record["id"]: record["id"] for record in records}
        for row in csv.DictReader(pairs.open(encoding="utf-8"), delimiter="\t"):
            old, new = clusters[row["id_b"]], clusters[row["id_a"]]
            clusters = {name: new if cluster == old else cluster for name, cluster in clusters.items()}
        return clusters
    return {record["id"]: record["cluster"] for record in records} if "cluster" in records[0] else None


def predicted_clusters(records: list[dict[str, Any]], folder: Path) -> tuple[dict[str, str], float]:
    """By id, the document that stays for it; and the lowest similarity of a removed document to its keeper."""
    data = folder / "data"
    with shard_writer(data / "00000.jsonl.zst") as shard:
        for record in records:
            shard.write({"id": record["id"], "text": record["text"], "source": "labelled", "url": "", "meta": {}})
    artifact, _ = dedup(data, folder / "run", workers=1)
    keepers = {record["id"]: record["id"] for record in records}
    lowest = 1.0
    for path in (artifact / "removed").glob("*"):
        for removed in read_objects(path):
            keepers[removed["id"]] = removed["kept_id"]
            lowest = min(lowest, removed["similarity"])
    return keepers, lowest


def num_pairs(clusters: dict[str, Any]) -> int:
    return sum(comb(size, 2) for size in Counter(clusters.values()).values())


def compare_clusters(truth: dict[str, Any], predicted: dict[str, Any]) -> tuple[float, float, float]:
    """Pairwise precision and recall, and the adjusted Rand index."""
    both = Counter((truth[name], predicted[name]) for name in truth)
    shared = sum(comb(size, 2) for size in both.values())
    true, found, possible = num_pairs(truth), num_pairs(predicted), comb(len(truth), 2)
    expected = true * found / possible
    agreement = (shared - expected) / max((true + found) / 2 - expected, 1e-9)
    return shared / max(found, 1), shared / max(true, 1), agreement


# --- speed -------------------------------------------------------------------------------------------------------


def measure_speed(folder: Path, sizes: list[int], workers: int, peers: list[str]) -> None:
    """Every tool reads the same files of JSON lines in zstd; datatrove and llmforge write what they keep.

    Seconds of processor time (of all processes together) are told beside those of the clock: on a machine with other
    work they alone can be compared.
    """
    print(f"{'tool':16} {'documents':>10} {'kept':>9} {'wall s':>8} {'cpu s':>8} {'documents/s':>12} {'peak MiB':>9}")
    for size in sizes:
        with tempfile.TemporaryDirectory() as temporary:
            data = Path(temporary) / "data"
            make_corpus(folder, data, size)
            before, start = cpu_s(), time.perf_counter()
            _, manifest = dedup(data, Path(temporary) / "run", workers)
            wall_s, own_cpu_s = time.perf_counter() - start, cpu_s() - before
            kept = manifest.counts["documents"]["kept"]
            show("llmforge", size, kept, wall_s, own_cpu_s, f"{manifest.peak_rss_bytes / 2**20:9.0f}")
            for peer in peers:
                before = cpu_s()
                peer_s, kept = PEERS[peer](data, workers)
                peer_cpu_s = cpu_s() - before
                times = f"llmforge is {peer_s / wall_s:.1f} times as fast, {peer_cpu_s / own_cpu_s:.1f} by cpu s"
                show(peer, size, kept, peer_s, peer_cpu_s, times)


def show(tool: str, size: int, kept: int, wall_s: float, used_s: float, rest: str) -> None:
    print(f"{tool:16} {size:10,} {kept:9,} {wall_s:8.1f} {used_s:8.1f} {size / wall_s:12,.0f} {rest}", flush=True)


def cpu_s() -> float:
    """Processor time of this process and of its children that have ended (seconds)."""
    return sum(os.times()[:4])


def dedup(data: Path, run_folder: Path, workers: int) -> tuple[Path, Any]:
    settings = Settings.model_validate({"run": {"workers": workers}, "dedup": {"data": str(data)}})
    built = build_stage(DEDUP, settings, run_folder, BuildOptions())
    return built.folder, built.manifest


def make_corpus(folder: Path, data: Path, num_documents: int, seed: int = 1) -> None:
    """Documents of about 2 kB from the sentences of real texts; every second one is an edited copy."""
    choose = random.Random(seed)
    sentences = read_sentences(folder)
    vocabulary = sorted({word for sentence in sentences[:20_000] for word in sentence.split()})
    recent: list[str] = []
    for first in range(0, num_documents, SHARD_DOCUMENTS):
        with shard_writer(data / f"{first // SHARD_DOCUMENTS:05d}.jsonl.zst") as shard:
            for number in range(first, min(first + SHARD_DOCUMENTS, num_documents)):
                if number % 2 and recent:
                    text = edit(choose.choice(recent), vocabulary, choose)
                else:
                    text = compose(sentences, choose)
                    recent = [*recent[-999:], text]
                shard.write({"id": f"{number:032x}", "text": text, "source": "made", "url": "", "meta": {}})


def read_sentences(folder: Path) -> list[str]:
    sentences = []
    for path in sorted(folder.glob("*.jsonl.gz")):
        for line in gzip.open(path, "rt", encoding="utf-8"):
            sentences += [part for part in re.split(r"(?<=[.!?])\s+", json.loads(line)["text"]) if len(part) > 20]
    return sentences


def compose(sentences: list[str], choose: random.Random) -> str:
    parts: list[str] = []
    size = 0
    while size < DOCUMENT_BYTES:
        parts.append(choose.choice(sentences)[:400])
        size += len(parts[-1]) + 1
    return " ".join(parts)


def edit(text: str, vocabulary: list[str], choose: random.Random) -> str:
    """A copy with 0 to 5 % of its words replaced: Jaccard similarities of word 5-grams from 1 down to about 0.6."""
    words = text.split()
    for _ in range(int(len(words) * choose.uniform(0, 0.05))):
        words[choose.randrange(len(words))] = choose.choice(vocabulary)
    return " ".join(words)


# --- peers -------------------------------------------------------------------------------------------------------


def run_datasketch(data: Path, workers: int) -> tuple[float, int]:
    """Datasketch as its documentation shows it, in one process: seconds, and documents kept."""
    start = time.perf_counter()
    kept = count_kept((name, sketch(text)) for name, text in read_texts(sorted(data.glob("*"))))
    return time.perf_counter() - start, kept


def run_datasketch_pool(data: Path, workers: int) -> tuple[float, int]:
    """Datasketch with files read and signed in `workers` processes, and one index."""
    start = time.perf_counter()
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        kept = count_kept(signed for shard in pool.map(sketch_file, sorted(data.glob("*"))) for signed in shard)
    return time.perf_counter() - start, kept


def run_datatrove(data: Path, workers: int) -> tuple[float, int]:
    """Datatrove's four steps, in an environment of its own."""
    script = Path(__file__).parent / "peers" / "dedup_with_datatrove.py"
    with tempfile.TemporaryDirectory() as output:
        command = [".venv-peers/bin/python", str(script), str(data), output, str(workers)]
        printed = subprocess.run(command, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    wall_s, kept = printed.stdout.split()[-2:]
    return float(wall_s), int(kept)


def count_kept(signed: "Iterable[tuple[str, MinHash]]") -> int:
    """Documents that are like none before them by the index of datasketch: no candidate is verified."""
    from datasketch import MinHashLSH

    index = MinHashLSH(num_perm=BANDS * ROWS, params=(BANDS, ROWS))
    kept = 0
    for name, signature in signed:
        if not index.query(signature):
            index.insert(name, signature, check_duplication=False)
            kept += 1
    return kept


def sketch_file(path: Path) -> "list[tuple[str, MinHash]]":
    return [(name, sketch(text)) for name, text in read_texts([path])]


def sketch(text: str) -> "MinHash":
    """The signature of a text's word 5-grams."""
    from datasketch import MinHash

    words = re.findall(r"\w+", text.lower())
    signature = MinHash(num_perm=BANDS * ROWS)
    signature.update_batch({" ".join(words[place : place + 5]).encode() for place in range(len(words) - 4)})
    return signature


def read_texts(paths: list[Path]) -> Iterator[tuple[str, str]]:
    for path in paths:
        for record in read_objects(path):
            yield record["id"], record["text"]


PEERS: dict[str, Callable[[Path, int], tuple[float, int]]] = {
    "datasketch": run_datasketch,
    "datasketch-pool": run_datasketch_pool,
    "datatrove": run_datatrove,
}


if __name__ == "__main__":
    main()
