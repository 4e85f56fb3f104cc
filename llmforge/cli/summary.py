"""One line for each stage: what it did, from its manifest."""

from pathlib import Path

from llmforge.cli.output import count, duration, share, size
from llmforge.pipeline.build import Built
from llmforge.pipeline.manifest import Manifest


def summarize(name: str, built: Built) -> str:
    """One line: stage, what came of it, how long it took, where it lies."""
    took = built.status if built.status == "up to date" else f"{built.status} in {duration(built.manifest.wall_s)}"
    return f"{name:<13} {_outcome(name, built.manifest)}   {took}   {built.folder}"


def _outcome(name: str, manifest: Manifest) -> str:
    if name == "tokenize":
        return _tokens(manifest)
    if name == "plan-scaling":
        return _plan(manifest)
    return _funnel(manifest)


def _funnel(manifest: Manifest) -> str:
    documents, volume = manifest.account.total.documents, manifest.account.total.bytes
    parts = [f"{rule} {count(number)}" for rule, number in documents.dropped.most_common(3)]
    if documents.num_quarantined:
        parts.append(f"quarantined {count(documents.num_quarantined)}")
    if documents.merged:
        parts.append(f"merged {count(documents.merged)}")
    because = f": {', '.join(parts)}" if parts else ""
    lost = share(documents.came_in - documents.kept, documents.came_in)
    return f"{count(documents.came_in)} -> {count(documents.kept)} documents, {size(volume.kept)}  (-{lost}{because})"


def _tokens(manifest: Manifest) -> str:
    train, val = manifest.results["store"]["train"], manifest.results["store"]["val"]
    per_token = train["num_bytes"] / train["num_tokens"]
    tokens = f"{count(train['num_tokens'])} training and {count(val['num_tokens'])} validation tokens"
    return f"{tokens}, {per_token:.2f} bytes per token"


def _plan(manifest: Manifest) -> str:
    recommended = manifest.results["recommended"]
    return f"{count(recommended['params'])} parameters on {count(recommended['tokens'])} tokens"


def summarize_training(status: str, manifest: Manifest, folder: Path) -> str:
    """One line: steps, tokens and losses of a finished training."""
    results = manifest.results
    took = status if status == "up to date" else f"{status} in {duration(manifest.wall_s)}"
    outcome = f"{count(results['steps'])} steps, {count(results['tokens'])} tokens"
    return f"{'train':<13} {outcome}, validation {results['val_bits_per_byte']:.3f} bits per byte   {took}   {folder}"
