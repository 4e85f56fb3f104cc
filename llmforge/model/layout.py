"""Where a model may be cut, as data: the model itself knows nothing of parallelism.

Names are those of the modules inside a block, or of the model's own modules.
"""

COLUMN_SPLIT = ("attention.q", "attention.k", "attention.v", "ffn.up", "ffn.gate")
"""Linear layers of a block whose outputs may be split (weight rows and bias): by head, or by feed-forward unit."""

ROW_SPLIT = ("attention.out", "ffn.down")
"""Linear layers of a block whose inputs may be split (weight columns). They write into the residual stream; their
outputs are partial sums, and their biases belong to the sum."""

VOCABULARY_SPLIT = ("embedding", "head")
"""Modules whose rows stand for tokens: embedding and head split the same dimension, so a tied weight stays tied."""

REPLICATED = ("attention_norm", "ffn_norm")
"""Modules of a block that every tensor rank holds whole."""

FIRST_STAGE = ("embedding", "position", "embedding_norm")
"""The model's modules before the blocks: they belong to the first pipeline stage."""

BLOCKS = "blocks"
"""The pipeline may cut between any two entries; keys are global block numbers, so names survive a cut."""

LAST_STAGE = ("final_norm", "head")
"""The model's modules after the blocks: they belong to the last pipeline stage."""

TIED = {"head.weight": "embedding.weight"}
"""In a tied model the first name is the second parameter; states are kept under the second name only."""
