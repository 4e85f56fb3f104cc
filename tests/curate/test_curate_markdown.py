import gzip
import json
from collections.abc import Callable
from pathlib import Path

from curating import Result

from llmforge.curate.readers.markdown import clean

TEXT = r"""---
title: Groups
---
# Groups

<!-- a note
to myself -->
A group is a set $G$ with a product $\cdot\colon G\times G\to G$.
[//]: # (hidden)

$$
e \cdot g = g
$$



```python
x = 1  # <!-- stays -->


y = 2
```

## References

1. Lang, Algebra.

## Exercises

Show that $e$ is unique.
"""


def test_formulas_and_code_stay_and_what_is_no_text_goes() -> None:
    assert clean(TEXT) == (
        "# Groups\n\n"
        "A group is a set $G$ with a product $\\cdot\\colon G\\times G\\to G$.\n\n"
        "$$\ne \\cdot g = g\n$$\n\n"
        "```python\nx = 1  # <!-- stays -->\n\n\ny = 2\n```\n\n"
        "## Exercises\n\nShow that $e$ is unique."
    )


def test_what_looks_like_a_comment_in_code_within_a_line_stays() -> None:
    assert clean("`<!--` opens <!-- a note --> and `<!-- x -->` stays.") == "`<!--` opens  and `<!-- x -->` stays."


def test_references_at_the_end_go_to_the_end() -> None:
    assert clean("Text.\n\n### Bibliography\n\n- Lang\n- Artin\n") == "Text."
    assert clean("+++\na = 1\n+++\nText.\r\n") == "Text."


def test_a_folder_of_markdown_is_mathematics_when_the_settings_say_so(
    curate: Callable[..., Result], tmp_path: Path
) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.md").write_text(TEXT)
    (tmp_path / "in" / "b.py").write_text("x = 1\n")
    result = curate(tmp_path / "in", type="markdown")
    assert result.texts == [clean(TEXT)]
    assert result.manifest.results["sources"]["s0"]["kind"] == "maths"


def test_real_markdown_keeps_its_formulas_and_words(real_data: Path) -> None:
    with gzip.open(real_data / "text" / "gov_18f_handbook.jsonl.gz") as lines:
        texts = [json.loads(line)["text"] for line in lines]
    shares = [len(clean(text)) / len(text) for text in texts if len(text) > 200]
    assert min(shares) > 0.5
    assert sum(shares) / len(shares) > 0.95
