"""`vocab_size: auto`: the published law's own numbers, and where the parameters are taken from."""

from typing import Any

import pytest

from llmforge.arch.params import count_parameters
from llmforge.arch.presets import preset
from llmforge.arch.vocabulary import choose_vocab_size, expected_vocab_size, vocabulary_parameters
from llmforge.config.schema import Settings
from llmforge.core.errors import SettingsError


def chosen(corpus_bytes: int | None = None, **sections: Any) -> tuple[int, str]:
    tokenize = {"vocab_size": "auto", **sections.pop("tokenize", {})}
    choice = choose_vocab_size(Settings.model_validate({"tokenize": tokenize, **sections}), corpus_bytes)
    return choice.size, choice.reason


# Source: Tao et al. 2024, the released calculator of approach 2 at the widths of the paper's table.
@pytest.mark.parametrize(
    ("others", "width", "size"),
    [(33e6, 512, 6144), (85e6, 768, 9028), (302e6, 1024, 19_527), (1e9, 1536, 35_396), (7e9, 4096, 67_450)],
)
def test_the_law_gives_the_published_sizes(others: float, width: int, size: int) -> None:
    assert vocabulary_parameters(others) / width == pytest.approx(size, rel=1e-3)


def test_a_model_that_is_set_decides() -> None:
    size, reason = chosen(model={"preset": "gpt2"}, plan_scaling={"budget_flops": 1e22})
    law = vocabulary_parameters(count_parameters(preset("gpt2")).without_embeddings) / 768
    assert law <= size < law + 128
    assert size % 128 == 0
    assert reason.startswith("for the model that is set: 8.51e+07 parameters outside the vocabulary, width 768")


def test_a_budget_decides_where_no_model_is_set() -> None:
    size, reason = chosen(plan_scaling={"budget_flops": 1e19})
    # exp(-2.4847) * sqrt(1e19) = 264 million; a GPT-3 of that size is a little narrower than 1,024.
    assert "2.64e+08 parameters outside the vocabulary, width 993" in reason
    assert size == 18_048
    assert chosen(plan_scaling={"budget_flops": 1e20})[0] > size


def test_a_size_is_split_between_vocabulary_and_the_rest() -> None:
    _, reason = chosen(plan_scaling={"params": 1_000_000_000})
    others = 9.48e8
    assert "9.48e+08 parameters" in reason
    assert others + vocabulary_parameters(others) == pytest.approx(1e9, rel=1e-3)


def test_tokens_count_as_the_budget_that_they_suit() -> None:
    tokens = 10**10
    assert chosen(plan_scaling={"tokens": tokens})[0] == chosen(plan_scaling={"budget_flops": 6 * tokens**2 / 20})[0]
    # Four passes over the corpus, at four bytes a token.
    assert chosen(corpus_bytes=tokens)[0] == chosen(plan_scaling={"tokens": tokens})[0]


def test_outside_the_fitted_range_the_reason_says_so() -> None:
    assert "outside the range" in chosen(model={"preset": "gpt2-tiny"})[1]
    assert "outside the range" not in chosen(model={"preset": "gpt2-medium"})[1]


def test_the_size_is_rounded_up_to_a_multiple() -> None:
    assert chosen(tokenize={"vocab_multiple": 1000}, plan_scaling={"budget_flops": 1e19})[0] == 18_000
    assert chosen(tokenize={"vocab_size": 8000, "vocab_multiple": 128}) == (8064, "set")
    assert chosen(tokenize={"vocab_size": 8001}) == (8001, "set")


def test_with_nothing_known_the_default_stands() -> None:
    assert expected_vocab_size(Settings.model_validate({"tokenize": {"vocab_size": "auto"}})) == 8192


@pytest.mark.parametrize("budget", ["budget_gpu_hours", "budget_money"])
def test_a_budget_that_is_not_in_flops_is_refused(budget: str) -> None:
    with pytest.raises(SettingsError, match="device hours or money"):
        chosen(plan_scaling={budget: 10.0})
