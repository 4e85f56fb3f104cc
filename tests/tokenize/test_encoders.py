"""The faster encoder: used only where it gives the reference's ids, and never at the cost of a text."""

import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer as LibraryTokenizer
from tokenizers import decoders, models

from llmforge.config.tokenize import TokenizeSection
from llmforge.core.errors import InputError
from llmforge.pipeline.build import Built
from llmforge.tokenize.algorithms import split_into_bytes, train
from llmforge.tokenize.encoders import (
    REFERENCE,
    EncodeBatch,
    NotSuitableError,
    choose_encoder,
    make_encoder,
    make_gigatoken,
    make_tiktoken,
)
from llmforge.tokenize.patterns import SPLIT_PATTERNS
from llmforge.tokenize.tokenizer import EOS_TOKEN, Tokenizer

TEXTS = [f"The fox isn't jumping over {number} dogs, naïve 東京 😀 again.\n\n  def f(x):\n" for number in range(99)]


def trained(**values: object) -> Tokenizer:
    return Tokenizer(train(TokenizeSection.model_validate({"vocab_size": 400, **values}), [TEXTS]), EOS_TOKEN)


BYTE_LEVEL = {name: trained(split_pattern=name) for name in SPLIT_PATTERNS}


@pytest.mark.parametrize(
    ("name", "pattern"),
    [("gigatoken", "gpt2"), ("gigatoken", "llama3"), *(("tiktoken", name) for name in SPLIT_PATTERNS)],
)
@given(text=st.text(max_size=60))
def test_faster_encoders_give_the_ids_of_the_reference(name: str, pattern: str, text: str) -> None:
    pytest.importorskip(name)
    assert np.array_equal(fast_encoder(name, pattern)([text])[0], BYTE_LEVEL[pattern].encode(text))


@cache
def fast_encoder(name: str, pattern: str) -> EncodeBatch:
    return make_encoder(name, BYTE_LEVEL[pattern])


def test_the_fastest_that_knows_the_pattern_is_chosen() -> None:
    pytest.importorskip("gigatoken")
    pytest.importorskip("tiktoken")
    chosen = {pattern: choose_encoder(tokenizer, TEXTS) for pattern, tokenizer in BYTE_LEVEL.items()}
    assert {pattern: choice.name for pattern, choice in chosen.items()} == {
        "gpt2": "gigatoken",
        "llama3": "gigatoken",
        "gpt4": "tiktoken",  # gigatoken knows other spellings of the pattern only
    }
    assert chosen["gpt2"].reason.endswith("gave the same ids on 120 texts, hard ones and your own")
    assert chosen["gpt2"].wrong == ()


def test_added_tokens_that_are_found_in_text_are_left_to_the_reference() -> None:
    tokenizer = trained()
    tokenizer._library.add_tokens(["herons"])
    assert "herons" in [tokenizer.spelling(token) for token in tokenizer.encode("two herons").tolist()]
    assert choose_encoder(tokenizer, TEXTS).name == REFERENCE


def test_gigatoken_begins_with_empty_caches_again_and_again(monkeypatch: pytest.MonkeyPatch) -> None:
    gigatoken = pytest.importorskip("gigatoken")
    made = []
    load = gigatoken.Tokenizer.from_json
    monkeypatch.setattr(gigatoken.Tokenizer, "from_json", lambda source: made.append(1) or load(source))
    monkeypatch.setattr("llmforge.tokenize.encoders._RENEW_CHARS", 200)
    encode = make_gigatoken(BYTE_LEVEL["gpt2"])
    for text, ids in zip(TEXTS, encode(TEXTS), strict=True):
        assert np.array_equal(ids, BYTE_LEVEL["gpt2"].encode(text))
    assert len(made) > 20


def test_a_lone_surrogate_is_the_error_that_the_reference_gives() -> None:
    pytest.importorskip("gigatoken")
    with pytest.raises(InputError, match=r"lone surrogate U\+D800 at character 1"):
        make_gigatoken(BYTE_LEVEL["gpt2"])(["a\ud800b"])


def test_a_text_that_overflows_its_stack_is_left_to_the_reference() -> None:
    pytest.importorskip("tiktoken")
    tokenizer, text = BYTE_LEVEL["llama3"], " " * 1_500_000
    (ids,) = make_tiktoken(tokenizer)([text])
    assert np.array_equal(ids, tokenizer.encode(text))


@pytest.mark.parametrize(
    "values", [{"algorithm": "char_bpe", "vocab_size": 700}, {"split_digits": True}, {"normalization": "nfc"}]
)
def test_other_kinds_stay_with_the_reference(values: dict[str, object]) -> None:
    choice = choose_encoder(trained(**values), TEXTS)
    assert choice.name == REFERENCE
    assert choice.reason == "it is no byte-level BPE with a pattern by name, the only kind that faster encoders know"


@pytest.mark.parametrize(
    ("merges", "reason"),
    [
        ([("a", "b"), ("b", "c"), ("ab", "c"), ("a", "bc")], "has several merges"),
        ([("b", "c"), ("a", "b"), ("ab", "c")], "not that of the ids"),
        ([("a", "b"), ("b", "d"), ("ab", "d")], "not that of the ids"),  # "bc" comes of no merge
    ],
)
def test_merges_that_tiktoken_would_follow_otherwise_are_refused(merges: list[tuple[str, str]], reason: str) -> None:
    pytest.importorskip("tiktoken")
    tokens = [*sorted(BYTE_LEVEL["gpt2"]._library.get_vocab(), key=len)[:256], "ab", "bc", "abc", "bd", "abd"]
    library = LibraryTokenizer(models.BPE({token: place for place, token in enumerate(tokens)}, merges))
    library.pre_tokenizer, library.decoder = split_into_bytes("gpt2"), decoders.ByteLevel()
    library.add_special_tokens([EOS_TOKEN])
    with pytest.raises(NotSuitableError, match=reason):
        make_tiktoken(Tokenizer(library, EOS_TOKEN))


def test_another_id_anywhere_in_the_sample_means_the_next_and_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    tokenizer = BYTE_LEVEL["gpt2"]

    def wrong(_: Tokenizer) -> Callable[..., list[np.ndarray]]:
        return lambda texts: [tokenizer.encode(text) + ("99" in text) for text in texts]

    monkeypatch.setattr("llmforge.tokenize.encoders.FASTER", {"numpy": wrong})
    choice = choose_encoder(tokenizer, ["number 99"])
    assert choice.name == REFERENCE
    assert choice.wrong == (f"numpy {np.__version__} is not used: it gives other ids for 'number 99'",)
    assert choice.wrong[0] in choice.reason
    monkeypatch.setattr(
        "llmforge.tokenize.encoders.FASTER", {"numpy": wrong, "tokenizers": lambda one: one.encode_batch}
    )
    choice = choose_encoder(tokenizer, ["number 99"])
    assert choice.name == "tokenizers"
    assert len(choice.wrong) == 1


def test_a_wrong_encoder_is_a_warning_of_the_stage(
    corpus: Path, tokenize: Callable[..., Built], monkeypatch: pytest.MonkeyPatch
) -> None:
    def wrong(tokenizer: Tokenizer) -> EncodeBatch:
        return lambda texts: [tokenizer.encode(text)[1:] for text in texts]

    monkeypatch.setattr("llmforge.tokenize.encoders.FASTER", {"numpy": wrong})
    built = tokenize(corpus)
    assert built.manifest.results["encoder"]["name"] == REFERENCE
    assert any("is not used: it gives other ids" in warning for warning in built.manifest.warnings)


@pytest.mark.parametrize("missing", [["gigatoken"], ["gigatoken", "tiktoken"]])
def test_without_fast_encoders_the_store_has_the_same_bytes(
    corpus: Path, tokenize: Callable[..., Built], monkeypatch: pytest.MonkeyPatch, missing: list[str]
) -> None:
    pytest.importorskip("gigatoken")
    pytest.importorskip("tiktoken")
    fast = tokenize(corpus, name="fast")
    for name in missing:
        monkeypatch.setitem(sys.modules, name, None)
    plain = tokenize(corpus, name="plain")
    assert fast.manifest.results["encoder"]["name"] == "gigatoken"
    assert plain.manifest.results["encoder"]["name"] == ("tiktoken" if len(missing) == 1 else REFERENCE)
    if len(missing) == 2:
        reason = 'gigatoken is not installed (pip install "llmforge[fast]"); tiktoken is not installed'
        assert plain.manifest.results["encoder"]["reason"].startswith(reason)
    assert {output.path: output.sha256 for output in fast.manifest.outputs} == {
        output.path: output.sha256 for output in plain.manifest.outputs
    }


def test_shards_of_one_process_share_an_encoder_and_another_tokenizer_gets_its_own(
    corpus: Path, tokenize: Callable[..., Built], monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[int] = []

    def count(name: str, tokenizer: Tokenizer) -> EncodeBatch:
        made.append(tokenizer.vocab_size)
        return make_encoder(name, tokenizer)

    monkeypatch.setattr("llmforge.tokenize.encode.make_encoder", count)
    assert len(list((tokenize(corpus, vocab_size=320).folder / "records").iterdir())) == 3
    assert made == [320]
    run = tokenize(corpus, name="other", vocab_size=300).folder.parent
    assert made == [320, 300]
    (run / "tokenize").rename(run / "before")
    tokenize(corpus, name="other", vocab_size=310)  # another one, in the same place
    assert made == [320, 300, 310]


def test_an_encoder_that_is_gone_is_replaced_aloud(caplog: pytest.LogCaptureFixture, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "gigatoken", None)
    tokenizer = BYTE_LEVEL[next(iter(BYTE_LEVEL))]
    with caplog.at_level("WARNING", logger="llmforge"):
        ids = make_encoder("gigatoken", tokenizer)(["one text"])
    assert [list(one) for one in ids] == [list(tokenizer.encode("one text"))]
    assert "encoding goes on with tokenizers instead of gigatoken, with the same ids: gigatoken is not" in caplog.text
