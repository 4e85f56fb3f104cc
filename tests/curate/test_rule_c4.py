"""C4's rules: which lines stay, which pages go, where the variants part, and that edits are accounted for."""

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from judging import judge as decide

from llmforge.config.filters.prose import C4CodeSection, C4PaperSection
from llmforge.curate.filters.c4 import count_sentences
from llmforge.curate.filters.findings import Edited
from llmforge.curate.filters.text_stats import TextStats
from llmforge.curate.readers.items import Verdict


def judge(stats: TextStats, limits: C4CodeSection | C4PaperSection) -> Verdict | Edited | None:
    """What the rule decides, without what it removed."""
    found = decide(stats, limits)
    return Edited(found.text) if isinstance(found, Edited) else found


CODE, PAPER = C4CodeSection(rule="c4@code"), C4PaperSection(rule="c4@paper")
SENTENCE = "The river rose in the night."
PAGE = "\n".join([SENTENCE] * 5)


def lines_kept(line: str, limits: C4CodeSection | C4PaperSection) -> bool:
    """Whether a line stays on a page that stays."""
    found = judge(TextStats(f"{PAGE}\n{line}"), limits)
    assert found is None or found == Edited(PAGE) or found == Edited(f"{PAGE}\n{line.strip()}"), found
    return found != Edited(PAGE)


@pytest.mark.parametrize("limits", [CODE, PAPER], ids=["code", "paper"])
def test_a_page_of_sentences_stays_as_it_is(limits):
    assert judge(TextStats(PAGE), limits) is None


@pytest.mark.parametrize("limits", [CODE, PAPER], ids=["code", "paper"])
@pytest.mark.parametrize(
    ("line", "stays"),
    [
        ("A line of five words.", True),
        ("Is this one a question?", True),
        ('He said it to them all: "no"', True),
        ("A line without an end mark", False),
        ("He said it to them all: \u201cno\u201d", False),
        ("This one goes on and on...", False),
        ("", False),
        ("Please turn on JavaScript to see this page.", False),
        ("By reading on you accept our Privacy Policy now.", False),
        ("This site uses cookies for a good purpose.", False),
        ("The terms of trade are settled in spring.", True),
        ("Here is one word " + "x" * 999 + ".", True),
        ("Here is one word " + "x" * 1000 + ".", False),
    ],
)
def test_which_lines_stay(line, stays, limits):
    assert lines_kept(line, limits) is stays


def test_words_a_line_at_and_below_the_limit():
    assert lines_kept("Five words are enough here.", CODE) is True
    assert lines_kept("Four words are not.", CODE) is False
    assert lines_kept("Three words suffice.", PAPER) is True
    assert lines_kept("Two words.", PAPER) is False


def test_lines_may_end_in_anything_where_the_settings_say_so():
    limits = C4PaperSection(rule="c4@paper", terminal_punctuation=False)
    assert lines_kept("A line without an end mark", limits) is True
    assert lines_kept("This one goes on and on...", limits) is True
    assert lines_kept("Two words.", limits) is False


def test_words_are_counted_before_citation_marks_go_or_after():
    line = "It grew [1] [2] fast."
    assert judge(TextStats(f"{PAGE}\n{line}"), CODE) == Edited(PAGE)
    assert judge(TextStats(f"{PAGE}\n{line}"), PAPER) == Edited(f"{PAGE}\nIt grew   fast.")


@pytest.mark.parametrize("mark", ["[]", "[12]", "[edit]", "[citation needed]"])
def test_citation_marks_are_removed(mark):
    assert judge(TextStats(f"{PAGE}\nThe tower is very old.{mark}"), CODE) == Edited(f"{PAGE}\nThe tower is very old.")


def test_sentences_a_page_at_and_below_the_limit():
    assert judge(TextStats("\n".join([SENTENCE] * 3)), CODE) is None
    assert judge(TextStats("\n".join([SENTENCE] * 2)), CODE) == Verdict("c4@code.too_few_sentences", 2, 3)
    assert judge(TextStats(" ".join([SENTENCE] * 5)), PAPER) is None
    assert judge(TextStats(" ".join([SENTENCE] * 4)), PAPER) == Verdict("c4@paper.too_few_sentences", 4, 5)


@pytest.mark.parametrize(
    ("line", "number"),
    [
        ("One. Two! Three?", 3),
        ('He said "go." She went.', 2),
        ("Dr. Smith saw Mr. Jones.", 1),
        ("It cost 3.50 and it was fine.", 1),
        ("Fruit, e.g. apples.", 1),
        ("What?! No.", 2),
        ("no end", 1),
    ],
)
def test_sentences_are_told_by_their_ends(line, number):
    assert count_sentences(line) == number


@pytest.mark.parametrize("content", ["lorem ipsum", "curly_bracket"])
def test_page_contents_are_looked_for_everywhere_or_in_lines_that_pass(content):
    word = {"lorem ipsum": "Lorem Ipsum", "curly_bracket": "{"}[content]
    name = content.replace(" ", "_")
    passing, failing = f"{PAGE}\nIn this line is {word} today.", f"{PAGE}\n{word}"
    assert judge(TextStats(passing), CODE) == Verdict(f"c4@code.{name}", 1, 0)
    assert judge(TextStats(passing), PAPER) == Verdict(f"c4@paper.{name}", 1, 0)
    assert judge(TextStats(failing), CODE) == Edited(PAGE)
    assert judge(TextStats(failing), PAPER) == Verdict(f"c4@paper.{name}", 1, 0)


def test_a_bracket_in_a_line_that_names_javascript_goes_with_the_line():
    text = f"{PAGE}\nThe javascript function f() {{ is in this line."
    assert judge(TextStats(text), CODE) == Edited(PAGE)
    assert judge(TextStats(text), PAPER) == Verdict("c4@paper.curly_bracket", 1, 0)


def test_what_edits_take_is_accounted_for(tmp_path, curate):
    source = tmp_path / "source.jsonl"
    edited = f"Home\n{PAGE}\nMenu | Contact"
    source.write_bytes(b"\n".join(orjson.dumps({"text": text}) for text in (PAGE, edited, "Home")))
    result = curate(source, settings={"filters": ("c4@code",)})
    assert result.texts == [PAGE, PAGE]
    assert result.rules == {"c4@code.too_few_sentences": 1}
    flow = result.manifest.counts["bytes"]
    assert flow["edited"] == len(edited) - len(PAGE)
    assert flow["in"] == flow["kept"] + sum(flow["dropped"].values()) + flow["edited"]
    assert result.manifest.counts["measures"]["edited_by_c4@code"] == 2  # "Home" lost its line too


@given(st.text(alphabet="ab .?!{\"'\n", max_size=200))
def test_what_has_been_edited_is_not_edited_again(text):
    limits = C4CodeSection(rule="c4@code", min_words_per_line=0, min_sentences=1)
    found = judge(TextStats(text), limits)
    if isinstance(found, Edited):
        assert judge(TextStats(found.text), limits) is None


def test_the_space_that_a_citation_mark_leaves_around_a_page_goes():
    page = f"[1] {SENTENCE}\n{PAGE}"
    assert judge(TextStats(page), CODE) == Edited(f"{SENTENCE}\n{PAGE}")
