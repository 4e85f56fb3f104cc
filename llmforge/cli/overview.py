"""A run on one screen, from its manifests alone."""

from pathlib import Path
from typing import Any

import orjson

from llmforge.cli.output import count, duration, share, size, table
from llmforge.cli.rules import rule_lines
from llmforge.core.errors import InputError
from llmforge.pipeline.counts import Flow
from llmforge.pipeline.manifest import MANIFEST, Manifest, read_manifest
from llmforge.pipeline.runner import STAGES


def read_run(run: Path) -> dict[str, Manifest]:
    """The manifests of a run's stages, in order.

    Raises: InputError if there is none.
    """
    manifests = {stage: read_manifest(run / stage) for stage in STAGES if (run / stage / MANIFEST).exists()}
    if not manifests:
        raise InputError(f"{run}: no stage has finished here", "name a run's folder, such as runs/demo")
    return manifests


def overview(run: Path, manifests: dict[str, Manifest]) -> list[str]:
    """The lines of the screen: one part for each stage that there is."""
    parts = {
        "curate": _rules_and_documents,
        "dedup": _documents,
        "tokenize": _tokens,
        "plan-scaling": _plan,
        "train": _training,
    }
    lines = [f"{run}"]
    for name, manifest in manifests.items():
        lines += ["", f"{name}  ({manifest.state}, {duration(manifest.wall_s)}, peak {size(manifest.peak_rss_bytes)})"]
        lines += [f"  {line}".rstrip() for line in parts[name](manifest)]
        lines += [f"  warning: {warning}" for warning in manifest.warnings]
    return lines + _samples(run)


def _documents(manifest: Manifest) -> list[str]:
    """The funnel: sources by what became of their documents, and the rules that dropped them."""
    account = manifest.account
    flows = {name: (one.documents, one.bytes.kept) for name, one in account.by_source.items()}
    flows["all"] = (account.total.documents, account.total.bytes.kept)
    rows = [["source", "in", "kept", "dropped", "quarantined", "merged", "kept text"]]
    rows += [_flow_row(name, flow, kept) for name, (flow, kept) in flows.items()]
    dropped = account.total.documents.dropped.most_common()
    rules = [["dropped by", "documents", "share"]]
    rules += [[rule, count(number), share(number, account.total.documents.came_in)] for rule, number in dropped]
    return [*table(rows), *(["", *table(rules)] if dropped else [])]


def _rules_and_documents(manifest: Manifest) -> list[str]:
    """The funnel, and what each rule did to each source."""
    rules = rule_lines(manifest.account, by_source=True)
    return [*_documents(manifest), *(["", *rules] if rules else [])]


def _flow_row(name: str, flow: Flow, kept_bytes: int) -> list[str]:
    numbers = (flow.came_in, flow.kept, flow.num_dropped, flow.num_quarantined, flow.merged)
    return [name, *map(count, numbers), size(kept_bytes)]


def _tokens(manifest: Manifest) -> list[str]:
    store, tokenizer = manifest.results["store"], manifest.results["tokenizer"]
    rows = [["split", "documents", "tokens", "text"]]
    rows += [
        [split, count(part["num_documents"]), count(part["num_tokens"]), size(part["num_bytes"])]
        for split, part in (("train", store["train"]), ("val", store["val"]))
    ]
    sources = [["source", "tokens", "bytes per token", "tokens per word"]]
    sources += [
        [name, count(part["num_tokens"]), f"{part['bytes_per_token']:.2f}", f"{part['tokens_per_word']:.2f}"]
        for name, part in store["by_source"].items()
    ]
    lossless = "lossless" if tokenizer["lossless"] else "not lossless"
    return [
        f"{tokenizer['algorithm']}, vocabulary {count(tokenizer['vocab_size'])}, {lossless}",
        "",
        *table(rows),
        "",
        *table(sources),
    ]


def _plan(manifest: Manifest) -> list[str]:
    plan: dict[str, Any] = manifest.results["recommended"]
    epochs = "" if plan["epochs"] is None else f", {plan['epochs']:.2f} epochs"
    lines = [
        f"{count(plan['params'])} parameters on {count(plan['tokens'])} tokens "
        f"({plan['tokens_per_param']:.1f} a parameter{epochs}), {plan['flops']:.3g} FLOPs",
        f"{count(plan['steps'])} steps of {count(plan['global_batch_tokens'])} tokens, learning rate {plan['lr']:g}",
    ]
    if plan["predicted_loss"] is not None:
        lines.append(f"predicted loss {plan['predicted_loss']:.3f} nats per token")
    return lines + [f"caution: {caution}" for caution in manifest.results["cautions"]]


def _training(manifest: Manifest) -> list[str]:
    if "val_bits_per_byte" not in (results := manifest.results):
        return ["not finished; the same command goes on"]
    return [
        f"{count(results['params'])} parameters, {count(results['steps'])} steps, {count(results['tokens'])} tokens "
        f"({results['epochs']:.2f} epochs), {count(results['tokens_per_s'])} tokens/s",
        "",
        *table(_bits_per_byte(results)),
    ]


def _bits_per_byte(results: dict[str, Any]) -> list[list[str]]:
    """The model's validation beside the baselines; a baseline that could not be measured shows no number."""
    rows = [["validation", "bits per byte"]]
    for name, key in (
        ("this model", "val_bits_per_byte"),
        ("unigram entropy of the tokens", "unigram_bits_per_byte"),
        ("gzip -9, each document by itself", "gzip_bits_per_byte"),
    ):
        rows.append([name, "none" if results[key] is None else f"{results[key]:.3f}"])
        if key == "val_bits_per_byte" and len(by_source := results.get("val_by_source", {})) > 1:
            rows += [[f"  of {source}", f"{figures['bits_per_byte']:.3f}"] for source, figures in by_source.items()]
    return rows


def _samples(run: Path) -> list[str]:
    """The texts that the finished model wrote."""
    path = run / "train" / "samples.jsonl"
    samples = [orjson.loads(line) for line in path.read_bytes().splitlines()] if path.exists() else []
    last = [sample for sample in samples if sample.get("step") == samples[-1].get("step")]
    return ["", *(f"  wrote: {sample['text']!r}" for sample in last)]
