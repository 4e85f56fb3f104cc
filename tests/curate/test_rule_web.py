"""Rules on web pages: addresses, RefinedWeb's lines, bad words, long lines; each at its limit and past it."""

from pathlib import Path

import pytest
from curating import PROSE
from judging import judge, values
from pydantic import ValidationError

from llmforge.config.filters.prose import Mc4Section
from llmforge.config.filters.web import (
    BadWordsSection,
    FlaggedWordsSection,
    RefinedwebLinesSection,
    UrlListsSection,
    UrlsInTextSection,
)
from llmforge.core.errors import InputError
from llmforge.curate.filters.findings import Edited, Removal
from llmforge.curate.filters.text_stats import TextStats
from llmforge.curate.readers.items import Verdict


@pytest.fixture
def lists(tmp_path: Path) -> UrlListsSection:
    """Lists of every kind, in the forms that published ones have."""
    files = {
        "domains": "# adult sites\nbad.example\nwww.worse.example\n",
        "urls": "forum.example/adult\nhttps://www.paste.example/x/\n",
        "strict_words": "play-boy\ntwo words\n",
        "hard_words": "Porn\n",
        "soft_words": "sex\nass\n",
    }
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    places = {name: (str(tmp_path / name),) for name in files}
    return UrlListsSection(rule="url_lists", **places)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("url", "condition"),
    [
        ("http://bad.example/", "listed_domain"),
        ("https://WWW.Bad.Example:8080/page?x=1", "listed_domain"),
        ("http://cdn.bad.example/a.html", "listed_domain"),
        ("http://worse.example", "listed_domain"),
        ("http://notbad.example/", None),
        ("http://bad.example.org/", None),
        ("http://good.example/bad.example", None),
        ("http://forum.example/adult/thread/3", "listed_url"),
        ("http://www.forum.example/adult", "listed_url"),
        ("http://forum.example/adulthood", None),
        ("http://paste.example/x?raw=1", "listed_url"),
        ("http://paste.example/y", None),
        ("http://good.example/superplay-boyish", "strict_word"),
        ("http://play.boy.example/", "strict_word"),
        ("http://good.example/x-two-words", "strict_word"),
        ("http://good.example/play/boy", None),
        ("http://good.example/PORN-movies", "hard_word"),
        ("http://good.example/pornography-law", None),
        ("http://good.example/sex-and-ass", "soft_words"),
        ("http://good.example/sex/education", None),
        ("http://essex.example/assets", None),
        ("", None),
    ],
)
def test_addresses_by_lists_and_words(lists, url, condition):
    found = judge(TextStats("text", url), lists)
    assert (found.rule if found else None) == (f"url_lists.{condition}" if condition else None)


def test_a_limit_of_soft_words(lists):
    stats = TextStats("text", "http://good.example/sex/ass/x")
    assert judge(stats, lists) == Verdict("url_lists.soft_words", 2, 1)
    assert judge(stats, lists.model_copy(update={"max_soft_words": 2})) is None


def test_the_word_that_decides_is_shown(lists):
    stats = TextStats("text", "http://good.example/porn")
    from llmforge.curate.filters.table import find_rule

    (shown,) = [found for found in find_rule("url_lists", lists).examine(stats) if found.violated]
    assert shown.offender() == "porn"


def test_url_lists_without_a_list_are_refused():
    with pytest.raises(ValidationError, match="url_lists names no list; give domains, urls"):
        UrlListsSection(rule="url_lists")


def test_a_missing_list_says_where_to_get_it_before_anything_is_read(tmp_path, curate):
    source = tmp_path / "rows.jsonl"
    source.write_text('{"text": "a"}\n')
    rule = {"rule": "bad_words@c4", "words": ("nowhere/en",)}
    with pytest.raises(InputError, match=r"bad_words@c4.words: no file nowhere/en") as caught:
        curate(source, settings={"filters": (rule,)})
    assert "github.com/LDNOOBW" in str(caught.value)
    rule = {"rule": "url_lists", "hard_words": ("package:no_such_package/list.txt",)}
    with pytest.raises(InputError, match=r"url_lists.hard_words: no file package:no_such_package/list.txt") as caught:
        curate(source, settings={"filters": (rule,)})
    assert "pip install no_such_package" in str(caught.value)


def test_an_empty_list_is_an_error(tmp_path):
    (tmp_path / "words").write_text("# nothing\n\n")
    with pytest.raises(InputError, match="the list holds no entry"):
        judge(TextStats("a"), BadWordsSection(rule="bad_words@c4", words=(str(tmp_path / "words"),)))


def test_what_a_list_holds_is_part_of_the_identity_and_where_it_lies_is_not(tmp_path, curate):
    source = tmp_path / "rows.jsonl"
    source.write_text('{"text": "a good word"}\n')

    def fingerprint(folder: str, words: str) -> str:
        (tmp_path / folder).mkdir(exist_ok=True)
        (tmp_path / folder / "list").write_text(words)
        rule = {"rule": "bad_words@c4", "words": (str(tmp_path / folder / "list"),)}
        return curate(source, settings={"filters": (rule,)}).manifest.fingerprint

    assert fingerprint("a", "worse\n") == fingerprint("b", "worse\n") != fingerprint("b", "worst\n")


def test_a_list_of_an_installed_package_is_read(lists):
    limits = UrlListsSection(rule="url_lists", hard_words=("package:llmforge/curate/filters/table.py",))
    assert judge(TextStats("a", "http://example.org/"), limits) is None


def words_file(folder: Path) -> tuple[str, ...]:
    (folder / "words").write_text("darn\nbig bother\nばか\n")
    return (str(folder / "words"),)


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("A darn shame.", 1),
        ("DARN! Darn, darn.", 3),
        ("A darning needle and some undarned socks.", 0),
        ("What a big bother it is, a big, bother.", 1),
        ("彼はばかです。", 1),
        ("A clean page.", 0),
    ],
)
def test_bad_words_count_as_wholes_in_any_case(tmp_path, text, count):
    limits = BadWordsSection(rule="bad_words@c4", words=words_file(tmp_path))
    assert values(TextStats(text), limits) == {"bad_words": count}
    assert judge(TextStats(text), limits) == (Verdict("bad_words@c4.bad_words", count, 0) if count else None)


def test_a_share_of_bad_words_at_its_limit_and_past_it(tmp_path):
    words = words_file(tmp_path)
    text = "darn big bother " + "fine " * 17
    at = FlaggedWordsSection(rule="bad_words@share", words=words, max_share=3 / 20)
    assert judge(TextStats(text), at) is None
    past = FlaggedWordsSection(rule="bad_words@share", words=words, max_share=0.149)
    assert judge(TextStats(text), past) == Verdict("bad_words@share.too_many_bad_words", 0.15, 0.149)
    assert FlaggedWordsSection(rule="bad_words@share", words=words).max_share == 0.045


def test_long_lines_at_and_below_the_limit():
    limits = Mc4Section(rule="mc4")
    long, short = "x" * 200, "x" * 199
    assert judge(TextStats("\n".join([long] * 3)), limits) is None
    assert judge(TextStats("\n".join([long, long, short])), limits) == Verdict("mc4.too_few_long_lines", 2, 3)


def test_addresses_go_from_the_text_and_empty_lines_beyond_one():
    text = "See https://example.org/a_(b)?c=1#d, or www.example.org.\n\n\n\nThe end (http://x.y/z)."
    removed = [
        *(Removal("address", "https://example.org/a_(b)?c=1#d"), Removal("address", "www.example.org")),
        *(Removal("address", "http://x.y/z"), Removal("empty_lines", "\n\n\n\n")),
    ]
    assert judge(TextStats(text), UrlsInTextSection(rule="urls_in_text")) == Edited(
        "See , or .\n\nThe end ().", tuple(removed)
    )
    assert judge(TextStats("No address.\n\nA new paragraph."), UrlsInTextSection(rule="urls_in_text")) is None


LINES = RefinedwebLinesSection(rule="refinedweb_lines", max_removed_words=1.0)
SENTENCE = "The river rose in the night and nobody was there to see it."


@pytest.mark.parametrize(
    ("line", "left"),
    [
        ("ABCDE fghij", "ABCDE fghij"),  # 5 capitals of 11 characters
        ("ABCDEF fghi", None),  # 6 of 11
        ("ab CD", "ab CD"),
        ("123456", None),
        ("12 34", "12 34"),  # the space is no digit
        ("Home", None),
        ("Home page", "Home page"),
        ("3 likes", None),
        ("1,204 Comments!", None),
        ("2.5k views", None),
        ("3 likes so far", "3 likes so far"),
        ("3 items in cart today", "3  today"),
        ("Sign-in to see the rest", "to see the rest"),
        ("You can sign-in here", "You can sign-in here"),
        ("The story goes on read more...", "The story goes on"),
        ("The story goes on read moreabc", "The story goes on read moreabc"),
        ("One two three four five six seven eight read more...", "One two three four five six seven eight"),
        ("One two three four five six seven eight nine read more...", None),
    ],
)
def test_which_lines_stay_and_how(line, left):
    # The last case has 11 words: it is no short line, and stays whole.
    expected = left if left is not None or not line.startswith("One") else line
    text = f"{SENTENCE}\n{line}\n{SENTENCE}"
    found = judge(TextStats(text), LINES)
    wanted = f"{SENTENCE}\n{expected}\n{SENTENCE}" if expected is not None else f"{SENTENCE}\n{SENTENCE}"
    assert (found.text if isinstance(found, Edited) else text) == wanted


def test_a_page_that_loses_a_twentieth_of_its_words_stays_and_one_that_loses_more_goes():
    limits = RefinedwebLinesSection(rule="refinedweb_lines")
    body = " ".join(f"word{number}" for number in range(38))
    at = judge(TextStats(f"{body}\n3 likes"), limits)
    assert isinstance(at, Edited)
    assert at.text == body
    past = judge(TextStats(f"{body[:-7]}\n3 likes"), limits)
    assert past == Verdict("refinedweb_lines.too_many_removed_words", round(2 / 39, 6), 0.05)
    assert judge(TextStats(PROSE), limits) is None
