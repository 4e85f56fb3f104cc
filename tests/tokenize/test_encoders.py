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
from llmforge.pipeline.build import Built
from llmforge.tokenize.algorithms import split_into_bytes, train
from llmforge.tokenize.encoders import (
    REFERENCE,
    EncodeBatch,
    NotSuitableError,
    choose_encoder,
    make_encoder,
    make_tiktoken,
)
from llmforge.tokenize.patterns import SPLIT_PATTERNS
from llmforge.tokenize.tokenizer import EOS_TOKEN, Tokenizer

TEXTS = [f"The fox isn't jumping over {number} dogs, naïve 東京 😀 again.\n\n  def f(x):\n" for number in range(99)]


def trained(**values: object) -> Tokenizer:
    return Tokenizer(train(TokenizeSection.model_validate({"vocab_size": 400, **values}), [TEXTS]), EOS_TOKEN)


BYTE_LEVEL = {name: trained(split_pattern=name) for name in SPLIT_PATTERNS}


@pytest.mark.parametrize("pattern", SPLIT_PATTERNS)
@given(text=st.text(max_size=60))
def test_tiktoken_gives_the_ids_of_the_reference(pattern: str, text: str) -> None:
    pytest.importorskip("tiktoken")
    assert np.array_equal(fast_encoder(pattern)([text])[0], BYTE_LEVEL[pattern].encode(text))


@cache
def fast_encoder(pattern: str) -> EncodeBatch:
    assert choose_encoder(BYTE_LEVEL[pattern], TEXTS)[0] == "tiktoken"
    return make_encoder("tiktoken", BYTE_LEVEL[pattern])


def test_a_text_that_overflows_its_stack_is_left_to_the_reference() -> None:
    pytest.importorskip("tiktoken")
    tokenizer, text = BYTE_LEVEL["llama3"], " " * 1_500_000
    (ids,) = make_tiktoken(tokenizer)([text])
    assert np.array_equal(ids, tokenizer.encode(text))


@pytest.mark.parametrize(
    "values", [{"algorithm": "char_bpe", "vocab_size": 700}, {"split_digits": True}, {"normalization": "nfc"}]
)
def test_other_kinds_stay_with_the_reference(values: dict[str, object]) -> None:
    name, reason = choose_encoder(trained(**values), TEXTS)
    assert name == REFERENCE
    assert "no byte-level BPE with a pattern by name" in reason


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


def test_another_id_anywhere_in_the_sample_means_the_reference(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("tiktoken")
    tokenizer = BYTE_LEVEL["gpt2"]

    def wrong(_: Tokenizer) -> Callable[..., list[np.ndarray]]:
        return lambda texts: [tokenizer.encode(text) + ("99" in text) for text in texts]

    monkeypatch.setattr("llmforge.tokenize.encoders.make_tiktoken", wrong)
    name, reason = choose_encoder(tokenizer, ["number 99"])
    assert (name, reason) == (REFERENCE, "tiktoken gives other ids for 'number 99'")


def test_without_tiktoken_the_store_has_the_same_bytes(
    corpus: Path, tokenize: Callable[..., Built], monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("tiktoken")
    fast = tokenize(corpus, name="fast")
    monkeypatch.setitem(sys.modules, "tiktoken", None)
    plain = tokenize(corpus, name="plain")
    assert fast.manifest.results["encoder"]["name"] == "tiktoken"
    assert plain.manifest.results["encoder"]["name"] == REFERENCE
    assert "not installed" in plain.manifest.results["encoder"]["reason"]
    assert {output.path: output.sha256 for output in fast.manifest.outputs} == {
        output.path: output.sha256 for output in plain.manifest.outputs
    }
