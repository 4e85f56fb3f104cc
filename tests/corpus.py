"""A small real corpus: the language reference that Python carries, with planted copies, edits, junk and damage."""

import gzip
import json
import random
from pathlib import Path
from pydoc_data.topics import topics


def make_corpus(folder: Path, num_topics: int = 60) -> Path:
    """Texts, JSON lines with copies and edits of them, and two damaged records. Returns the folder."""
    names = sorted(topics, key=lambda name: (-len(topics[name]), name))[:num_topics]
    texts = [topics[name][:6000] for name in names]
    (folder / "texts").mkdir(parents=True)
    for name, text in zip(names, texts, strict=True):
        (folder / "texts" / f"{name.replace('/', '_')}.txt").write_text(text, encoding="utf-8")
    draw = random.Random(7)
    rows = [{"text": text, "url": f"https://example.org/{number}"} for number, text in enumerate(texts[::6])]
    rows += [{"text": _edited(text, draw)} for text in texts[1::6]]
    rows += [{"text": "too short"}, {"text": "# ! " * 400}]
    lines = [json.dumps(row).encode() for row in rows]
    lines[3:3] = [b'{"text": 12}']
    with gzip.open(folder / "more.jsonl.gz", "wb") as file:
        file.write(b"\n".join(lines) + b"\n")
    return folder


def _edited(text: str, draw: random.Random) -> str:
    """The text with one word in a hundred replaced: a near-duplicate."""
    words = text.split(" ")
    for place in draw.sample(range(len(words)), max(1, len(words) // 100)):
        words[place] = "changed"
    return " ".join(words)


def settings_text(corpus: Path, runs: Path, name: str = "small") -> str:
    """A config for the corpus that trains a very small model for a few steps."""
    return f"""\
run: {{name: {name}, dir: {runs}, workers: 1}}
curate:
  sources:
    - {{name: texts, type: text, path: {corpus / "texts"}}}
    - {{name: more, type: jsonl, path: {corpus / "more.jsonl.gz"}}}
  filters: [gopher_quality]
  max_bad_fraction: 0.1
tokenize: {{vocab_size: 512, val_fraction: 0.1}}
model: {{preset: gpt2, layers: 2, dim: 32, heads: 2, context: 32, vocab_multiple: 1}}
train:
  strategy: single
  precision: fp32
  global_batch_tokens: 256
  micro_batch_sequences: 4
  tokens: 7680
  log_every_steps: 1
  eval_every_steps: 10
  checkpoint: {{every_steps: 5}}
"""
