"""What a run shows of its rules: other limits without another run, one document before all rules, samples of drops."""

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
import pytest
from curating import PROSE, Result, run_curate

from llmforge.config.load import load_settings
from llmforge.config.schema import Settings
from llmforge.core.errors import InputError, SettingsError
from llmforge.curate.dropped import sample_dropped
from llmforge.curate.explain import explain, to_dict
from llmforge.curate.what_if import Question, answer, parse_question
from llmforge.pipeline.manifest import read_manifest

FILTERS = (
    {"rule": "gopher_repetition@dclm"},
    {"rule": "c4@paper"},
    {"rule": "refinedweb_lines"},
    {"rule": "gopher_quality"},
    {"rule": "fineweb@paper", "short_line_chars": 45},
)
QUESTIONS = {
    "gopher_quality.min_words": (50, 100),
    "gopher_quality.max_mean_word_length": (4.0, 10.0),
    "gopher_quality.min_stop_words": (2, 6),
    "gopher_repetition@dclm.max_duplicate_lines": (0.1, 0.3, 1.0),
    "c4@paper.min_sentences": (1, 5, 8),
    "refinedweb_lines.max_removed_words": (0.05, 1.0),
    "fineweb@paper.max_short_lines": (0.25, 0.67),
    "language.min_score": (0.65, 0.97),
}


def make_documents(count: int = 160) -> list[str]:
    """Texts that every rule above drops some of: prose, repetition, short lines, citations, menus."""
    draw = random.Random(7)
    words = sorted({word.strip(".,").lower() for word in PROSE.split()})
    others = ["Home", "Read more...", "Cookie policy here.", "Sign in", "12 likes", "THE LOUD LINE OF IT.", "a {b} c."]
    german = "Der Ausschuss traf sich am Morgen und beschloss, dass die Brücke aus Stein gebaut werden soll."
    texts = []
    for number in range(count):
        lines = [_sentence(draw, words) for _ in range(draw.randint(2, 14))]
        lines += lines[:1] * draw.choice([0, 0, 0, 0, 2])
        lines += draw.choices(others, k=draw.choice([0, 0, 0, 1, 4]))
        lines += [german] * draw.choice([0, 0, 0, 5])
        lines[0] += f" It is the number {number} that they have in the book [1]."
        texts.append("\n".join(lines))
    return texts


def _sentence(draw: random.Random, words: list[str]) -> str:
    return " ".join(draw.choices(words, k=draw.randint(7, 14))).capitalize() + "."


def sources(folder: Path) -> list[dict[str, Any]]:
    folder.mkdir(exist_ok=True)
    texts = make_documents()
    for name, part in (("one", texts[:100]), ("two", texts[100:])):
        (folder / f"{name}.jsonl").write_bytes(b"".join(orjson.dumps({"text": text}) + b"\n" for text in part))
    return [{"path": str(folder / f"{name}.jsonl")} for name in ("one", "two")]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("seeing")


@pytest.fixture(scope="module")
def result(folder: Path) -> Result:
    return run_curate(folder / "run", sources(folder), filters=FILTERS, language={"keep": ("en",)})


def with_limit(name: str, limit: float) -> dict[str, Any]:
    rule, _, setting = name.rpartition(".")
    language = {"keep": ("en",)}
    if rule == "language":
        return {"filters": FILTERS, "language": {**language, setting: limit}}
    changed = [one | ({setting: limit} if one["rule"] == rule else {}) for one in FILTERS]
    return {"filters": tuple(changed), "language": language}


@pytest.mark.parametrize("name", QUESTIONS)
def test_an_answer_is_what_a_run_with_that_limit_keeps(result: Result, folder: Path, tmp_path: Path, name: str) -> None:
    limits = QUESTIONS[name]
    asked = Question(*name.rsplit(".", 1), limits)
    own, answers = answer(result.folder, asked)
    assert own in limits
    assert [one.limit for one in answers] == list(limits)
    for number, one in enumerate(answers):
        real = run_curate(tmp_path / str(number), sources(folder), **with_limit(name, limits[number]))
        flows = real.manifest.counts["by_source"]
        assert dict(one.documents) == {source: flow["documents"]["kept"] for source, flow in flows.items()}
        assert dict(one.num_bytes) == {source: flow["bytes"]["kept"] for source, flow in flows.items()}
    assert len({one.documents.total() for one in answers}) > 1


def test_a_question_that_only_a_run_can_answer_says_so(result: Result) -> None:
    for words in ("c4@paper.min_words_per_line=1", "fineweb.short_line_chars=10", "gopher_quality.nonsense=1"):
        with pytest.raises(SettingsError, match=r"only a run can tell\n  hint: it has measures of "):
            answer(result.folder, parse_question(words))
    for words in ("min_words=3", "gopher_quality.min_words", "gopher_quality.min_words=a,b", "=", ""):
        with pytest.raises(SettingsError, match="not understood"):
            parse_question(words)
    with pytest.raises(InputError, match="no measures"):
        answer(result.folder / "none", parse_question("gopher_quality.min_words=1"))


@pytest.mark.parametrize(
    ("words", "allowed"),
    [
        ("gopher_quality.min_words=20,-1", "gopher_quality.min_words=-1: at least 0"),
        ("gopher_quality.min_words=2.5", "a whole number"),
        ("c4.min_sentences=nan", "c4@paper.min_sentences=nan: a whole number"),
        ("language.min_score=1.5", "at most 1"),
    ],
)
def test_a_limit_that_the_settings_would_refuse_has_no_answer(result: Result, words: str, allowed: str) -> None:
    with pytest.raises(SettingsError, match=allowed):
        answer(result.folder, parse_question(words))


def test_a_rule_may_be_named_without_its_variant(result: Result) -> None:
    own, (one,) = answer(result.folder, parse_question("c4.min_sentences=5"))
    assert own == 5
    assert one.documents.total() == len(result.kept)


def test_pages_that_an_address_dropped_make_an_estimate(tmp_path: Path) -> None:
    body = f"<html><body><article><p>{PROSE}</p></article></body></html>".encode()
    http = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n" + body
    records = b"".join(
        b"WARC/1.0\r\nWARC-Type: response\r\nWARC-Target-URI: %s\r\nContent-Type: application/http\r\n"
        b"Content-Length: %d\r\n\r\n%s\r\n\r\n" % (url, len(http), http)
        for url in (b"http://a.org/x", b"http://casino.org/poker", b"http://b.org/y")
    )
    (tmp_path / "a.warc").write_bytes(records)
    (tmp_path / "soft.txt").write_text("casino\npoker\n")
    rule = {"rule": "url_lists", "soft_words": (str(tmp_path / "soft.txt"),)}
    result = run_curate(tmp_path / "run", [{"path": str(tmp_path / "a.warc")}], filters=(rule,))
    assert len(result.kept) == 2
    _, (strict, loose) = answer(result.folder, Question("url_lists", "max_soft_words", (1, 100)))
    assert (strict.documents.total(), strict.unread) == (2, 0)
    assert (loose.documents.total(), loose.unread) == (2, 1)


def settings_of(folder: Path) -> Settings:
    values = {
        "run": {"dir": str(folder), "name": "run"},
        "curate": {"sources": tuple(sources(folder)), "filters": FILTERS, "language": {"keep": ("en",)}},
    }
    return Settings.model_validate(values)


def test_a_document_is_explained_by_its_id_as_it_was_judged(result: Result, folder: Path) -> None:
    settings = settings_of(folder)
    for row in (result.dropped[0], result.dropped[-1], result.kept[-1]):
        explained = explain(settings, row["id"])
        facts = to_dict(explained)
        assert (facts["id"], facts["source"]) == (row["id"], row["source"])
        assert facts["dropped_by"] == row.get("rule")
        if "rule" in row:
            full = f"{row['rule']}"
            found = next(one for one in facts["conditions"] if f"{one['rule']}.{one['condition']}" == full)
            assert found["violated"] is True
            assert found["limit"] == row["limit"]
        else:
            assert explained.raw.document.text == row["text"]
        assert {one["rule"] for one in facts["conditions"]} == {"language", *(one["rule"] for one in FILTERS)}


def test_a_document_is_explained_by_file_and_number(result: Result, folder: Path) -> None:
    texts = make_documents()
    settings = settings_of(folder)
    assert explain(settings, str(folder / "one.jsonl")).text == texts[0]
    assert explain(settings, f"{folder / 'two.jsonl'}#3").text == texts[102]
    with pytest.raises(InputError, match="no such document"):
        explain(settings, f"{folder / 'two.jsonl'}#300")
    with pytest.raises(InputError, match="#x: no such document"):
        explain(settings, f"{folder / 'two.jsonl'}#x")
    with pytest.raises(InputError, match="no document 0123"):
        explain(settings, "0123456789abcdef" * 2)


def warc_record(kind: str, body: str) -> str:
    http = f"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n{body}"
    head = f"WARC/1.0\r\nWARC-Type: {kind}\r\nWARC-Target-URI: http://a/\r\nContent-Type: application/http\r\n"
    return f"{head}Content-Length: {len(http.encode())}\r\n\r\n{http}\r\n\r\n"


def test_a_page_goes_by_the_number_of_its_record(folder: Path, tmp_path: Path) -> None:
    page = f"<html><body><main><p>{PROSE}</p></main></body></html>"
    records = [("request", ""), ("response", page)]
    (tmp_path / "a.warc").write_text("".join(warc_record(*record) for record in records), newline="")
    explained = explain(settings_of(folder), f"{tmp_path / 'a.warc'}#2")
    assert explained.raw.locator == "a.warc#2"
    assert PROSE in explained.text
    with pytest.raises(InputError, match="#1: no such document"):
        explain(settings_of(folder), f"{tmp_path / 'a.warc'}#1")


def test_what_offends_and_what_was_taken_out_is_shown(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text(f"{PROSE}\nlook at this {{brace}} here.\nRead more...")
    facts = to_dict(explain(settings_of(folder), str(tmp_path / "a.txt")))
    assert facts["dropped_by"] == "c4@paper.curly_bracket"
    found = next(one for one in facts["conditions"] if one["condition"] == "curly_bracket")
    assert (found["value"], found["limit"], found["evidence"]) == (1, 0, "look at this {brace} here.")
    assert {"rule": "c4@paper", "reason": "no_end_mark", "text": "Read more..."} in facts["edits"]


@pytest.mark.parametrize("path", ["checkouts", "checkouts/**"])
def test_a_file_of_a_checkout_is_explained_as_its_source_reads_it(tmp_path: Path, path: str) -> None:
    folder = tmp_path / "checkouts" / "project"
    (folder / "src").mkdir(parents=True)
    (folder / "LICENSE").write_text(
        "Permission is hereby granted, free of charge, to any person obtaining a copy of this"
    )
    (folder / "src" / "a.py").write_text("".join(f"value_{number} = {number}\n" for number in range(40)))
    section = {"sources": ({"path": str(tmp_path / path), "type": "code"},), "filters": ({"rule": "license"},)}
    values = {"run": {"dir": str(tmp_path), "name": "run"}, "curate": section}
    result = run_curate(tmp_path / "run", section["sources"], filters=section["filters"])
    (row,) = (row for row in result.kept if row["meta"]["path"].endswith("a.py"))
    facts = to_dict(explain(Settings.model_validate(values), str(folder / "src" / "a.py")))
    assert (facts["id"], facts["dropped_by"]) == (row["id"], None)


def test_a_bad_record_is_explained_as_one(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_bytes(b'{"text": "a"}\n{"text": NaN}\n')
    with pytest.raises(InputError, match="quarantined, nan_literal at byte 14"):
        explain(settings_of(folder), f"{tmp_path / 'a.jsonl'}#2")


def test_samples_of_drops_are_real_and_carry_value_limit_and_evidence(result: Result) -> None:
    run = result.folder.parent
    for rule, number in result.rules.items():
        seen, rows = sample_dropped(run, rule, 3)
        assert seen == number
        assert [row["rule"] for row in rows] == [rule] * min(3, number)
        assert all(row in result.dropped for row in rows)
    assert sample_dropped(run, "c4", 1000)[0] == sum(n for rule, n in result.rules.items() if rule.startswith("c4@"))
    assert next(row["evidence"] for row in result.dropped if row["rule"] == "c4@paper.curly_bracket") == "a {b} c."
    with pytest.raises(InputError, match=r"no document was dropped by nothing\n  hint: these did: "):
        sample_dropped(run, "nothing", 3)
    with pytest.raises(InputError, match="did you mean `c4@paper`"):
        sample_dropped(run, "c4@papr", 3)


def test_the_account_tells_who_would_drop_and_who_was_first(result: Result) -> None:
    account = result.manifest.account
    first = account.total.documents.dropped
    for rule, judged in account.judged.items():
        own = sum(number for name, number in first.items() if name.split(".")[0] == rule)
        assert own <= account.violated[rule].total() <= judged.total()
    assert sum(account.violated[rule].total() for rule in account.violated) > account.total.documents.num_dropped
    assert account.judged["language"] == {"one": 100, "two": 60}


def test_the_commands_show_it(result: Result, folder: Path, tmp_path: Path, llmforge: Callable[..., Any]) -> None:
    config = tmp_path / "c.yaml"
    paths = "\n".join(f"    - {{path: {folder / name}.jsonl}}" for name in ("one", "two"))
    rules = "\n".join(f"    - {orjson.dumps(one).decode()}" for one in FILTERS)
    config.write_text(
        f"run: {{dir: {folder}, name: run}}\ncurate:\n  sources:\n{paths}\n"
        f"  language: {{keep: [en]}}\n  filters:\n{rules}\n  max_bad_fraction: 1.0\n"
    )
    load_settings(config, ())
    asked = llmforge("curate", "-c", config, "--what-if", "gopher_quality.min_words=20,50")
    assert asked.returncode == 0, asked.stderr
    assert asked.stdout.split("\n")[2].split()[:2] == ["50", str(len(result.kept))]
    assert "tokens at 4.00 bytes a token, assumed" in asked.stdout
    shown = llmforge("curate", "-c", config, "--explain", result.dropped[0]["id"])
    assert f"dropped by {result.dropped[0]['rule']}" in shown.stdout
    samples = llmforge("inspect", "data", folder / "run", "--dropped", "c4", "--rows", 2, "--json")
    assert [row["rule"][:2] for row in orjson.loads(samples.stdout)["samples"]] == ["c4", "c4"]
    overview = llmforge("inspect", folder / "run")
    header, *rows = [line.split() for line in overview.stdout.partition("  rule ")[2].splitlines()]
    assert header == "source judged would drop share first to drop edited".split()
    (edits,) = [row[-1] for row in rows if row and row[0] == "c4@paper"]
    assert edits == str(result.manifest.counts["measures"]["edited_by_c4@paper"])
    assert read_manifest(folder / "run" / "curate").counts == result.manifest.counts
