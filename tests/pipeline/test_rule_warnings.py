"""Warnings drawn from a stage's account: rules that did nothing, and rules that emptied a source."""

from collections import Counter

from llmforge.pipeline.counts import Counts
from llmforge.pipeline.warnings import rule_warnings


def test_conditions_of_one_rule_count_together() -> None:
    """No condition dropped more than half of the source, and the rule did."""
    counts = Counts()
    for source, conditions in (("web", ["quality.words", "quality.letters"]), ("news", ["quality.words"])):
        for number in range(10):
            condition = conditions[number // 4] if number // 4 < len(conditions) else None
            if condition is None:
                counts.keep(source, 100)
            else:
                counts.drop(source, condition, 100)
    counts.judged = {"quality": Counter(web=10, news=10), "masks": Counter(web=10)}
    assert rule_warnings(counts, 0.5) == [
        "masks judged 10 documents and dropped or changed none",
        "quality dropped 8 of the 10 documents of 'web'",
    ]
