"""Every kind of tokenizer: lossless where it says so, equal bytes in every process, pieces as it promises."""

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from llmforge.config.tokenize import Algorithm, TokenizeSection
from llmforge.core.errors import SettingsError
from llmforge.tokenize.algorithms import is_lossless, train
from llmforge.tokenize.tokenizer import EOS_TOKEN, Tokenizer

ALGORITHMS = get_args(Algorithm)
LOSSLESS = ("bpe", "char_bpe", "byte", "char")
WORDS = "don't the river runs past old mills, 42 herons watch a café in 東京 — 3.5% isn't much".split()
# Many words of equal frequency: what a library numbers by chance shows.
TEXTS = [f"{word}{number % 7} {word[::-1]} {number} {word}\n  {word}ing" for number in range(80) for word in WORDS]
HARD = [
    "",
    " \n\t",
    "a\0b",
    "😀👨‍👩‍👧 🇩🇪",
    "e\u0301 é ﬁ",
    "שלום مرحبا",
    "𒀀\ufeff\u202e",
    "<0x41> <unk> [UNK] ##ing Ġ",
    EOS_TOKEN,
]


def section(algorithm: str, **values: object) -> TokenizeSection:
    """Not validated: one list of values serves all algorithms here, as it does in a comparison."""
    chosen = TokenizeSection.model_validate({"vocab_size": 700, "min_frequency": 1, **values})
    return chosen.model_copy(update={"algorithm": algorithm})


def trained(algorithm: str, texts: list[str] = TEXTS, **values: object) -> Tokenizer:
    return Tokenizer(train(section(algorithm, **values), [texts]), EOS_TOKEN)


TRAINED = {algorithm: trained(algorithm) for algorithm in ALGORITHMS}


def pieces(algorithm: str, text: str) -> list[str]:
    tokenizer = TRAINED[algorithm]._library
    return [piece for piece, _ in tokenizer.pre_tokenizer.pre_tokenize_str(text)]


@pytest.mark.parametrize("algorithm", LOSSLESS)
def test_lossless_kinds_round_trip_hard_strings(algorithm: str) -> None:
    assert is_lossless(section(algorithm))
    tokenizer = TRAINED[algorithm]
    for text in [*HARD, EOS_TOKEN, *TEXTS[:20]]:
        ids = tokenizer.encode(text)
        assert tokenizer.decode(ids) == text
        assert tokenizer.eos_id not in ids


@pytest.mark.parametrize("algorithm", LOSSLESS)
@given(text=st.text(max_size=100))
@settings(max_examples=100)
def test_lossless_kinds_round_trip_every_string(algorithm: str, text: str) -> None:
    assert TRAINED[algorithm].decode(TRAINED[algorithm].encode(text)) == text


@pytest.mark.parametrize("algorithm", ["sentencepiece_bpe", "sentencepiece_unigram"])
@given(text=st.text(max_size=100).map(lambda text: text.replace("\u2581", "")))
@settings(max_examples=100)
def test_sentencepiece_loses_its_sign_of_a_blank_only(algorithm: str, text: str) -> None:
    tokenizer = TRAINED[algorithm]
    assert tokenizer.decode(tokenizer.encode(text)) == text
    assert tokenizer.decode(tokenizer.encode("a\u2581b")) == "a b"
    assert not is_lossless(section(algorithm))


@pytest.mark.parametrize("algorithm", ["word_space", "word_punctuation", "word_rule", "wordpiece"])
def test_lossy_kinds_say_so(algorithm: str) -> None:
    tokenizer = TRAINED[algorithm]
    assert not is_lossless(section(algorithm))
    assert tokenizer.decode(tokenizer.encode("the  river")) != "the  river"


def test_normalization_is_not_lossless() -> None:
    tokenizer = trained("bpe", normalization="nfkc")
    assert tokenizer.decode(tokenizer.encode("ﬁ")) == "fi"
    assert not is_lossless(section("bpe", normalization="nfkc"))


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_the_vocabulary_is_what_was_asked_for_or_less(algorithm: str) -> None:
    tokenizer = TRAINED[algorithm]
    assert tokenizer.vocab_size == 257 if algorithm == "byte" else 200 < tokenizer.vocab_size <= 700
    assert tokenizer.eos_id == tokenizer.vocab_size - 1
    assert len(tokenizer.token_bytes()) == tokenizer.vocab_size


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_control_token_that_the_corpus_is_full_of_is_text(algorithm: str) -> None:
    tokenizer = trained(algorithm, [f"{text} {EOS_TOKEN} <unk> [UNK] <s>" for text in TEXTS])
    for text in (EOS_TOKEN, f"a {EOS_TOKEN} b", f"{EOS_TOKEN}{EOS_TOKEN}\n"):
        assert tokenizer.eos_id not in tokenizer.encode(text)
    assert tokenizer.eos_id == tokenizer.vocab_size - 1


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_special_tokens_come_before_the_end_token_and_are_text_in_text(algorithm: str) -> None:
    special = ("<|user|>", "<|tool|>")
    tokenizer = trained(algorithm, [f"{text} <|user|> <|tool|>" for text in TEXTS], special_tokens=special)
    assert [tokenizer.spelling(tokenizer.vocab_size + place) for place in (-3, -2, -1)] == [*special, EOS_TOKEN]
    assert tokenizer.vocab_size <= 700
    ids = tokenizer.encode("so <|user|> said <|tool|>").tolist()
    assert max(ids) < tokenizer.vocab_size - 3
    assert tokenizer.token_bytes()[-3:] == [b"", b"", b""]


def test_a_special_token_that_is_text_is_refused() -> None:
    with pytest.raises(SettingsError, match="'river' is a piece of text in this vocabulary"):
        trained("char_bpe", ["river river"] * 50, special_tokens=("river",))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"algorithm": "wordpiece", "split_digits": True}, "split_digits has no effect on wordpiece; it is for bpe, "),
        ({"algorithm": "byte", "split_pattern": "llama3"}, "split_pattern has no effect on byte"),
        ({"algorithm": "char", "min_frequency": 5}, "min_frequency has no effect on char"),
        ({"special_tokens": ("<a>", "<a>")}, "names a token twice"),
        ({"tokenizer": "t.json", "special_tokens": ("<a>",)}, "special_tokens has no effect beside tokenizer"),
        ({"tokenizer": "t.json", "algorithm": "byte"}, "algorithm has no effect beside tokenizer"),
        ({"tokenizer": "t.json", "normalization": "nfc"}, "normalization has no effect beside tokenizer"),
        ({"tokenizer": "t.json", "train_weights": {"web": 2}}, "train_weights has no effect beside tokenizer"),
    ],
)
def test_settings_without_effect_are_refused(values: dict[str, object], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        TokenizeSection.model_validate(values)


TRAIN_AND_PRINT = """
import sys
from training_texts import TEXTS
from llmforge.config.tokenize import TokenizeSection
from llmforge.tokenize.algorithms import train
for algorithm in sys.argv[1:]:
    chosen = TokenizeSection(vocab_size=700, min_frequency=1).model_copy(update={"algorithm": algorithm})
    print(train(chosen, [TEXTS[::2], TEXTS[1::2]]).to_str())
"""


def test_two_processes_train_the_same_tokenizers(tmp_path: Path) -> None:
    (tmp_path / "training_texts.py").write_text(f"TEXTS = {TEXTS!r}\n")
    path = os.pathsep.join([str(tmp_path), str(Path(__file__).parents[2])])
    outputs = []
    for threads in ("1", "2", "2"):
        env = {**os.environ, "PYTHONPATH": path, "RAYON_NUM_THREADS": threads}
        command = [sys.executable, "-c", TRAIN_AND_PRINT, *ALGORITHMS]
        outputs.append(subprocess.run(command, env=env, capture_output=True, check=True, timeout=120).stdout)
    first, *others = (output.splitlines() for output in outputs)
    assert len(first) == len(ALGORITHMS)
    for lines in others:
        same = [algorithm for algorithm, a, b in zip(ALGORITHMS, first, lines, strict=True) if a == b]
        assert same == list(ALGORITHMS)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("I don't, we'll; it's", "I|do|n't|,|we|'ll|;|it|'s"),
        ("Dr. Lee left the U.S. in 1,234.56 days.", "Dr.|Lee|left|the|U.S.|in|1,234.56|days|."),
        (
            "See https://a.example/b?c=1, or mail x.y@z.example.",
            "See|https://a.example/b?c=1|,|or|mail|x.y@z.example|.",
        ),
        ("a well-known o'clock -- 50% at 12:30...", "a|well-known|o'clock|--|50%|at|12:30|..."),
        ("can’t naïve café", "ca|n’t|naïve|café"),
        ("COVID-19, an F-16 and H2O in room B2.", "COVID-19|,|an|F-16|and|H2O|in|room|B2|."),
        ("v1.2.3 of the 3rd in the 1990s: 3.14e-10, 5kg", "v1.2.3|of|the|3rd|in|the|1990s|:|3.14e-10|,|5|kg"),
        ("Gen. Lee's Ph.D. of Sept. 1st; an animal.", "Gen.|Lee|'s|Ph.D.|of|Sept.|1st|;|an|animal|."),
    ],
)
def test_rules_cut_words_as_a_linguist_would(text: str, expected: str) -> None:
    assert pieces("word_rule", text) == expected.split("|")


@pytest.mark.parametrize("run", ["a1.1.", "a-1", "n't", "a@", "http://)", "o'c", "x.", "1e5"])
def test_rules_take_time_in_proportion_to_a_run_without_blanks(run: str) -> None:
    seconds = []
    for repeats in (1_000, 30_000):
        begun = time.process_time()
        pieces("word_rule", run * repeats)
        seconds.append(time.process_time() - begun)
    # 900 times as long where every word looks at all that follows; on a busy machine, 30 times can look like 100.
    assert seconds[1] < 250 * seconds[0] + 0.5


def test_spaces_and_punctuation_cut_words() -> None:
    assert pieces("word_space", "Isn't it,\nno?") == ["Isn't", "it,", "no?"]
    assert pieces("word_punctuation", "Isn't it,\nno?") == ["Isn", "'", "t", "it", ",", "no", "?"]


def test_an_unknown_word_is_unknown_and_an_unknown_character_is_bytes() -> None:
    words, chars = TRAINED["word_space"], TRAINED["char"]
    assert words._library.id_to_token(int(words.encode("zyzzyva")[0])) == "[UNK]"
    assert [chars._library.id_to_token(int(token)) for token in chars.encode("a\x07")] == ["a", "<0x07>"]


def test_split_digits_keeps_every_digit_apart() -> None:
    texts = ["2024 2024 2024 year"] * 50
    together, apart = (trained("bpe", texts, split_digits=value) for value in (False, True))
    assert (len(together.encode("2024")), len(apart.encode("2024"))) == (1, 4)


@pytest.mark.parametrize("algorithm", ["char", "char_bpe"])
def test_a_vocabulary_without_room_for_characters_is_refused(algorithm: str) -> None:
    with pytest.raises(SettingsError, match="256 tokens for bytes"):
        trained(algorithm, vocab_size=257)
