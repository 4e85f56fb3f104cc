"""One document before all rules: the first violation decides; the rest is measured all the same.

What is measured of a document that is dropped already says what other limits would have kept (see `measures`).
"""

from dataclasses import dataclass, field

from llmforge.config.curate import CurateSection
from llmforge.core.documents import Document
from llmforge.curate.filters.findings import Condition, Edited
from llmforge.curate.filters.table import Rule, find_rule
from llmforge.curate.filters.text_stats import TextStats
from llmforge.curate.readers.items import ContentKind, RawDocument, Verdict
from llmforge.pipeline.counts import Counts

_EVIDENCE_CHARS = 500


def choose_rules(settings: CurateSection, kind: ContentKind) -> list[Rule]:
    """The rules that are made for a kind of content, in order: the address, the language, then those of the text."""
    rules = [find_rule(limits.rule, limits) for limits in settings.rules]
    if settings.language.keep:
        rules.insert(0, find_rule("language", settings.language))
    return sorted((rule for rule in rules if kind in rule.kinds), key=lambda rule: not rule.judges_url)


@dataclass
class Judgement:
    """What the rules found in one document.

    Attributes:
        text: as the rules left it, those after the verdict among them.
        verdict: of the first rule that it violates; None if it stays.
        conditions: every measured condition with its rule, in order.
        edits: what rules took out of the text, each with its rule.
        is_final: no limit can keep the document: it is empty, or was so after an edit, or its reader dropped it.
        is_unread: its address alone dropped it, and its text was never extracted.
    """

    text: str
    verdict: Verdict | None = None
    conditions: list[tuple[Rule, Condition]] = field(default_factory=list)
    edits: list[tuple[Rule, Edited]] = field(default_factory=list)
    is_final: bool = False
    is_unread: bool = False


def judge(raw: RawDocument, rules: list[Rule], counts: Counts | None = None) -> Judgement:
    """Let every rule look at a document, and give it the text that it has after their edits.

    Args:
        raw: a text; where it is dropped, it keeps the text that the rule saw which dropped it.
        rules: in order.
        counts: takes what each rule judged, violations and edits.
    """
    document, counts = raw.document, Counts() if counts is None else counts
    judgement = Judgement(document.text)
    if raw.verdict is not None or not document.text:
        judgement.verdict = raw.verdict or Verdict("empty_text" if raw.html is None else "no_main_text")
        judgement.is_final = True
        return judgement
    stats = TextStats(document.text, document.url, document.meta)
    for rule in rules:
        counts.judge(rule.name, document.source)
        edited, is_violated = _examine(rule, stats, judgement)
        if is_violated:
            counts.violate(rule.name, document.source)
        if judgement.verdict is None:
            document.text = judgement.text
        if edited is not None:
            _note_edit(rule, edited, counts)
            if not edited.text:
                judgement.is_final = True
                judgement.verdict = judgement.verdict or Verdict(f"{rule.name}.nothing_left")
                break
            stats = TextStats(edited.text, document.url, document.meta)
    return judgement


def judge_url(document: Document, rules: list[Rule], counts: Counts) -> Judgement | None:
    """What the rules on addresses say against a page before its text is extracted; None if they let it pass."""
    stats, judgement = TextStats("", document.url, document.meta), Judgement("", is_unread=True)
    for rule in rules:
        if rule.judges_url:
            _examine(rule, stats, judgement)
            if judgement.verdict is not None:
                counts.judge(rule.name, document.source)
                counts.violate(rule.name, document.source)
                return judgement
    return None


def _examine(rule: Rule, stats: TextStats, judgement: Judgement) -> tuple[Edited | None, bool]:
    """Note everything that a rule finds; return its edit, and whether the document violates it."""
    edited, is_violated = None, False
    for finding in rule.examine(stats):
        if isinstance(finding, Edited):
            edited, judgement.text = finding, finding.text
            judgement.edits.append((rule, finding))
            continue
        judgement.conditions.append((rule, finding))
        if finding.violated:
            is_violated = True
            judgement.verdict = judgement.verdict or to_verdict(rule, finding)
    return edited, is_violated


def to_verdict(rule: Rule, condition: Condition) -> Verdict:
    """A violated condition as the reason of a drop."""
    value = round(condition.value, 6) if isinstance(condition.value, float) else condition.value
    evidence = condition.offender()[:_EVIDENCE_CHARS] if condition.offender is not None else None
    return Verdict(f"{rule.name}.{condition.name}", value, condition.limit, evidence or None)


def _note_edit(rule: Rule, edited: Edited, counts: Counts) -> None:
    counts.measures[f"edited_by_{rule.name}"] += 1
    counts.measures.update({f"{rule.name}.{reason}": count for reason, count in edited.counts.items()})
