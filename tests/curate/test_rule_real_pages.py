"""Rules on real pages with known answers: addresses that others marked, and pages that people judged."""

import gzip
from collections import Counter
from pathlib import Path
from typing import Any

import orjson
import pytest
from judging import judge

from llmforge.config.filters.general import PiiSection
from llmforge.config.filters.prose import C4CodeSection, GopherQualitySection, GopherRepetitionSection
from llmforge.curate.filters.findings import Edited
from llmforge.curate.filters.text_stats import TextStats
from llmforge.curate.readers.items import Verdict


def read(path: Path) -> list[dict[str, Any]]:
    return [orjson.loads(line) for line in gzip.decompress(path.read_bytes()).splitlines()]


def test_the_addresses_that_dolma_marks_as_sure_are_found_and_no_other(real_data):
    folder = real_data / "filters" / "dolma_tests" / "provided"
    texts = {row["id"]: row["text"] for row in read(folder / "documents" / "000.json.gz")}
    marked = {
        (row["id"], texts[row["id"]][start:end].strip(" :\n"))
        for row in read(folder / "attributes" / "pii" / "000.json.gz")
        for start, end, score in row["attributes"].get("pii", {}).get("email", [])
        if score > 0.5
    }
    found = set()
    for name, text in texts.items():
        edited = judge(TextStats(text), PiiSection(rule="pii", kinds=("email",)))
        if isinstance(edited, Edited):
            found |= {(name, removal.text) for removal in edited.removed}
    assert found == marked
    assert {address for _, address in found} == {"ask@bufvc.ac.uk", "info@claihr.ca", "info@eun.org"}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("limits", "good", "bad"),
    [
        (GopherQualitySection(rule="gopher_quality"), 2, 13),
        (GopherRepetitionSection(rule="gopher_repetition@dclm"), 2, 5),
        (C4CodeSection(rule="c4@code"), 9, 35),
    ],
)
def test_rules_drop_pages_that_people_call_bad_more_often_than_good_ones(real_data, limits, good, bad):
    """Of 132 good and 117 bad pages, so many go; the labels are of people who looked for text to train on."""
    rows = read(real_data / "filters" / "dclm_human_quality.jsonl.gz")
    assert Counter(row["label"] for row in rows) == {1: 132, 0: 117}
    dropped = Counter(row["label"] for row in rows if isinstance(judge(TextStats(row["text"]), limits), Verdict))
    assert dropped == {1: good, 0: bad}
