"""Step 3: encode every document into the token store, shard by shard."""

from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import asdict
from functools import lru_cache
from pathlib import Path
from typing import Any

from llmforge.core.documents import Document
from llmforge.core.files import read_json, write_json
from llmforge.core.hashing import hash_file
from llmforge.core.records import BadRecord
from llmforge.core.shards import LineWriter, shard_writer
from llmforge.pipeline.counts import Counts
from llmforge.pipeline.stage import Context, Plan, Shard
from llmforge.tokenize.card import describe_store, tokenizer_card
from llmforge.tokenize.corpus import plan_shards, read_shard
from llmforge.tokenize.encoders import EncodeBatch, make_encoder
from llmforge.tokenize.scores import count_words
from llmforge.tokenize.survey import Survey
from llmforge.tokenize.token_store import (
    SPLITS,
    DocumentWriter,
    Split,
    StoreShard,
    choose_dtype,
    shard_paths,
    write_index,
    write_shard,
)
from llmforge.tokenize.tokenizer import TOKENIZER, TOKENIZER_CONFIG, Tokenizer, library_threads, load_tokenizer

# The library needs about 35 times the text's size while it encodes a batch.
_BATCH_BYTES = 1_000_000


class EncodeStep:
    """Encodes one input shard into one store shard for each split and source."""

    name = "encode"

    def plan(self, context: Context) -> Plan:
        """One shard for each input shard."""
        return plan_shards(context)

    def run_shard(self, shard: Shard, context: Context) -> Counts:
        """Write the shard's tokens, boundaries and document ids, and its bad records."""
        chosen = read_json(context.scratch("train") / "encoder.json")["name"]
        digests = tuple(hash_file(context.folder / name) for name in (TOKENIZER, TOKENIZER_CONFIG))
        with library_threads(1):
            return ShardEncoding(shard, context, *_load_encoder(context.folder, digests, chosen)).run()

    def finish(self, context: Context) -> dict[str, Any]:
        """Write `index.json` and `tokenizer_card.json` from the totals of the shards."""
        tokenizer = load_tokenizer(context.folder)
        shards: dict[Split, list[StoreShard]] = {split: [] for split in SPLITS}
        words: Counter[str] = Counter()
        for path in sorted((context.scratch("encode") / "shards").glob("*.json")):
            found = read_json(path)
            words.update(found["words"])
            for split in SPLITS:
                shards[split] += [StoreShard(**shard) for shard in found[split]]
        context.outputs.append(write_index(context.folder, tokenizer.vocab_size, tokenizer.eos_id, shards))
        store = describe_store(shards, words)
        facts = read_json(context.scratch("train") / "facts.json")
        card = tokenizer_card(context.folder, tokenizer, context.settings.tokenize, facts, store)
        write_json(context.output("tokenizer_card.json"), card)
        return {"store": store}


@lru_cache(maxsize=1)
def _load_encoder(folder: Path, digests: tuple[str, ...], chosen: str) -> tuple[Tokenizer, EncodeBatch]:
    """The tokenizer in `folder` and the encoder that was chosen, kept for the next shard of this process.

    Making them takes longer than encoding a small shard. `digests` tells another tokenizer at the same place.
    """
    tokenizer = load_tokenizer(folder)
    return tokenizer, make_encoder(chosen, tokenizer)


class ShardEncoding:
    """One shard on its way into the store."""

    def __init__(self, shard: Shard, context: Context, tokenizer: Tokenizer, encode_batch: EncodeBatch) -> None:
        self._shard, self._context, self._tokenizer = shard, context, tokenizer
        self._encode_batch = encode_batch
        self._split = Survey.load(context).split
        self._dtype = choose_dtype(tokenizer.vocab_size)
        self._counts = Counts()
        self._words: Counter[str] = Counter()
        self._stems: dict[str, str] = {}
        self._writers: dict[tuple[Split, str], DocumentWriter] = {}
        self._files = ExitStack()
        self._bad_records: LineWriter | None = None

    def run(self) -> Counts:
        """Read, encode and write; the files appear when all of them are complete."""
        with self._files:
            for batch in self._batches():
                ids = self._encode_batch([document.text for document in batch])
                for document, tokens in zip(batch, ids, strict=True):
                    self._writer(document).add(document.id, document.url, document.num_bytes, tokens)
                    self._words[document.source] += count_words(document.text)
        self._note_totals()
        return self._counts

    def _batches(self) -> Iterator[list[Document]]:
        """Documents with text, in batches of about `_BATCH_BYTES`; the others are accounted for and left out."""
        batch: list[Document] = []
        batch_bytes = 0
        for record in read_shard(self._shard, self._context):
            if isinstance(record, BadRecord):
                self._quarantine(record)
                continue
            if not record.text:
                self._counts.drop(record.source, "no_text", 0)
                continue
            self._counts.keep(record.source, record.num_bytes)
            batch.append(record)
            batch_bytes += record.num_bytes
            if batch_bytes >= _BATCH_BYTES:
                yield batch
                batch, batch_bytes = [], 0
        if batch:
            yield batch

    def _writer(self, document: Document) -> DocumentWriter:
        """The writer of the document's split and source, opened when the first document comes."""
        key = (self._split.side(document), document.source)
        if key not in self._writers:
            stem = self._stems.setdefault(document.source, self._stem(len(self._stems)))
            paths = shard_paths(self._context.folder, key[0], stem)
            self._context.outputs.extend(paths)
            opened = write_shard(paths, self._dtype, self._tokenizer.eos_id)
            self._writers[key] = self._files.enter_context(opened)
        return self._writers[key]

    def _stem(self, place: int) -> str:
        """The shard's own stem for its first source; a number is added for every further one."""
        return self._shard.stem if place == 0 else f"{self._shard.stem}-{place}"

    def _quarantine(self, bad: BadRecord) -> None:
        source, locator = self._shard.work["source"], self._shard.work["locator"]
        self._counts.quarantine(source, bad.error, bad.num_bytes)
        if self._bad_records is None:
            path = self._context.output(f"quarantine/{self._shard.stem}.jsonl.zst")
            self._bad_records = self._files.enter_context(shard_writer(path))
        self._bad_records.write({"source": source, "locator": locator, **asdict(bad)})

    def _note_totals(self) -> None:
        totals: dict[str, Any] = {"words": dict(self._words), **{split: [] for split in SPLITS}}
        for (split, source), writer in self._writers.items():
            totals[split].append(asdict(writer.summary(self._stems[source], source)))
            self._counts.measures[f"{split}_tokens"] += writer.num_tokens
        write_json(self._context.scratch("encode") / "shards" / f"{self._shard.stem}.json", totals)
