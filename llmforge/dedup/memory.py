"""How much memory a dedup will take at most, known before it starts."""

from itertools import islice

from llmforge.core.documents import Document
from llmforge.dedup.source import input_shards, read_shard
from llmforge.dedup.steps.band import PARTITION_BYTES
from llmforge.dedup.steps.cluster import PARTITION_NODES
from llmforge.dedup.steps.passage import RUN_PASSAGES
from llmforge.dedup.tables import PASSAGE, RECORD
from llmforge.pipeline.stage import Context

_BASE_BYTES = 160 << 20  # the interpreter with numpy, and the buffers of a block of text
_SAMPLED_DOCUMENTS = 200
_TOKEN_BYTES = 3  # at least, as a rule, with the space after it; lines and paragraphs are far longer
_PACKED = 5  # times that compressed text grows, at most as a rule


def estimate_documents(context: Context) -> int:
    """About how many documents the stage will read: known of curate's output, else from the first ones' length."""
    artifact = context.inputs.artifact("curate")
    if artifact is not None:
        return int(artifact.manifest.counts["documents"]["kept"])
    shards = input_shards(context)
    if not shards:
        return 0
    first = [read for read in islice(read_shard(shards[0], context), _SAMPLED_DOCUMENTS) if isinstance(read, Document)]
    mean_bytes = sum(document.num_bytes for document in first) / max(len(first), 1)
    return int(_PACKED * context.inputs.num_bytes / max(mean_bytes, 1)) + len(first)


def predict_peak(context: Context, run_documents: int) -> int:
    """The most memory that one process will hold (bytes), by the step that holds most.

    A component larger than a partition of step 4 is not foreseen: it takes about 2 kB for each of its documents.

    Args:
        context: of the stage.
        run_documents: documents that step 1 sorts in memory (count).
    """
    settings = context.settings.dedup
    num_bands = settings.minhash.bands if settings.minhash is not None else 0
    num_documents = estimate_documents(context)
    record_bytes = RECORD.itemsize * (num_bands + settings.exact + settings.url)
    longest = min(settings.max_record_bytes, _PACKED * context.inputs.num_bytes)
    has_passages = settings.passages is not None
    passage_bytes = has_passages * PASSAGE.itemsize * _PACKED * context.inputs.num_bytes // _TOKEN_BYTES
    steps = {
        # unsorted, joined, without copies, sorted; a document's text in four forms and its shingles in five
        "sign": 4 * min(num_documents, run_documents) * record_bytes + 40 * longest,
        "band": 6 * min(num_documents * record_bytes, PARTITION_BYTES),
        # two rows of 8 bytes, and the same again while they are joined
        "cluster": 48 * num_documents + (128 << 20 if num_documents > 1 << 20 else 128 * num_documents),
        # in pieces, joined, sorted; the tokens of one document as words and as hashes
        "passage": 4 * min(passage_bytes, PASSAGE.itemsize * RUN_PASSAGES) + has_passages * 40 * longest,
        "repeat": 6 * min(passage_bytes, PARTITION_BYTES),
        "verify": 2048 * min(num_documents, PARTITION_NODES) + (64 << 20),
    }
    return _BASE_BYTES + max(steps.values())
