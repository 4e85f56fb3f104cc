"""Step 1, sign: hash every document, and write what later steps need to find copies, sorted by key."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import xxhash

from llmforge.config.dedup import DedupSection, MinHashSection
from llmforge.core.documents import Document
from llmforge.dedup.earlier import earlier_shards, take_earlier
from llmforge.dedup.exact import keep_one_copy, normalise, text_key
from llmforge.dedup.ids import IdWriter
from llmforge.dedup.lsh import band_keys, catch_curve, draw_curve
from llmforge.dedup.memory import predict_peak
from llmforge.dedup.minhash import sign
from llmforge.dedup.ranking import order_key
from llmforge.dedup.shingle_sets import ShingleWriter
from llmforge.dedup.shingles import Shingles
from llmforge.dedup.source import first_free, input_shards, read_batches
from llmforge.dedup.tables import EARLIER, PASSAGE, RECORD, Rows, locate, write_table
from llmforge.dedup.units import shingle_documents
from llmforge.dedup.urls import normalise_url, url_key
from llmforge.pipeline.counts import Counts
from llmforge.pipeline.stage import Context, Plan, Shard

_NONE = np.empty(0, dtype=RECORD)
_RUN_DOCUMENTS = 1 << 16  # a run is sorted in memory: about 60 MB


@dataclass
class Run:
    """Records of consecutive documents of a shard, not yet sorted."""

    texts: list[Rows] = field(default_factory=list)
    urls: list[Rows] = field(default_factory=list)
    bands: list[Rows] = field(default_factory=list)
    num_documents: int = 0


class SignStep:
    """Text keys, MinHash signatures and band keys of every document."""

    name = "sign"

    def plan(self, context: Context) -> Plan:
        """One shard an input file, and one for every shard of earlier artifacts."""
        shards = input_shards(context)
        return Plan(shards + earlier_shards(context, first_free(shards)), tuple(_notes(context)))

    def run_shard(self, shard: Shard, context: Context) -> Counts:
        """Write sorted runs of text records and band records, and the ids of the shard."""
        settings, counts = context.settings.dedup, Counts()
        if "earlier" in shard.work:
            take_earlier(shard, context)
            return counts
        run, num_runs, row = Run(), 0, 0
        with IdWriter(context, shard) as ids, ShingleWriter(context, shard) as sets:
            for batch in read_batches(shard, context):
                ids.write(document.id for document in batch)
                normalised = [normalise(document.text) for document in batch]
                locations = locate(shard.index, np.arange(row, row + len(batch)))
                texts = _text_records(batch, normalised, locations, settings)
                run.texts.append(texts)
                if settings.url:
                    run.urls.append(_url_records(batch, texts))
                if settings.minhash is not None:
                    shingles = shingle_documents(normalised, settings.minhash)
                    sets.write(shingles)
                    run.bands.append(_band_records(texts, shingles, settings.minhash, settings.exact))
                run.num_documents += len(batch)
                row += len(batch)
                if run.num_documents >= _RUN_DOCUMENTS:
                    _write(run, f"{shard.stem}-{num_runs:05d}", settings, context)
                    run, num_runs = Run(), num_runs + 1
        if run.num_documents:
            _write(run, f"{shard.stem}-{num_runs:05d}", settings, context)
        counts.measures["documents"] = row
        return counts

    def finish(self, context: Context) -> dict[str, Any]:
        """The catch curve, for the manifest."""
        minhash = context.settings.dedup.minhash
        if minhash is None:
            return {}
        curve = catch_curve(minhash.bands, minhash.rows)
        return {"catch_curve": {str(similarity): round(share, 4) for similarity, share in curve.items()}}


def _notes(context: Context) -> Iterator[str]:
    """What --dry-run says of the settings."""
    settings = context.settings.dedup
    record_bytes = RECORD.itemsize * (settings.exact + settings.url)
    if settings.minhash is not None:
        yield from draw_curve(settings.minhash.bands, settings.minhash.rows)
        record_bytes += RECORD.itemsize * settings.minhash.bands
    shingles = " and 8 a word for shingles" if settings.minhash is not None else ""
    unit = (
        "" if settings.passages is None else {"substring": "token"}.get(settings.passages.unit, settings.passages.unit)
    )
    passages = f" and {PASSAGE.itemsize} a {unit} for passages" if unit else ""
    yield f"disk   {record_bytes:,} bytes a document for signatures{shingles}{passages}, until the stage is complete"
    yield f"memory at most {predict_peak(context, _RUN_DOCUMENTS) / 2**20:,.0f} MiB a process"


def _text_records(batch: list[Document], normalised: list[str], locations: Rows, settings: DedupSection) -> Rows:
    """Where each document's text stands among all texts, and the document among its copies."""
    keys = [text_key(text) for text in normalised]
    texts = np.empty(len(batch), dtype=RECORD)
    texts["key"], texts["text"] = np.array(keys, dtype=np.uint64).T
    orders = [max(order_key(document, settings), EARLIER + 1) for document in batch]
    texts["order"] = np.array(orders, dtype=np.uint64)
    texts["name"] = [
        xxhash.xxh3_64_intdigest(document.id.encode("utf-8", "surrogatepass"), seed=key)
        for document, (key, _) in zip(batch, keys, strict=True)
    ]
    texts["location"] = locations
    return texts


def _url_records(batch: list[Document], texts: Rows) -> Rows:
    """Where each document's URL stands among all URLs; none for a document without one."""
    urls = [normalise_url(document.url) for document in batch]
    records = texts.copy()
    records["key"], records["text"] = np.array([url_key(url) for url in urls], dtype=np.uint64).T
    return records[[url != "" for url in urls]]


def _band_records(texts: Rows, shingles: Shingles, minhash: MinHashSection, exact: bool) -> Rows:
    """A record for every band of every document that has a shingle."""
    records = np.repeat(texts[:, np.newaxis], minhash.bands, axis=1)
    records["text"] = texts["key" if exact else "name"][:, np.newaxis]
    records["key"] = band_keys(sign(shingles, minhash.bands * minhash.rows), minhash.bands)
    return records[np.diff(shingles.bounds) > 0].ravel()


def _write(run: Run, stem: str, settings: DedupSection, context: Context) -> None:
    """Sort a run by key and write it; of copies within the run only the one that stays keeps its bands."""
    texts, urls, bands = (np.concatenate([_NONE, *parts]) for parts in (run.texts, run.urls, run.bands))
    if settings.exact:
        bands = bands[np.isin(bands["location"], keep_one_copy(texts)["location"])]
    for kind, rows, is_on in (("texts", texts, settings.exact), ("urls", urls, settings.url), ("bands", bands, True)):
        if is_on:
            write_table(context.output(f"work/sign/{stem}.{kind}"), rows[np.argsort(rows["key"])])
