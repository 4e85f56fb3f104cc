import pytest

from llmforge.core.errors import SettingsError
from llmforge.pipeline.runner import STAGES, choose_stages


def test_a_part_of_the_chain() -> None:
    assert choose_stages(None, None) == STAGES
    assert choose_stages("dedup", "tokenize") == ("dedup", "tokenize")
    assert choose_stages("train", None) == ("train",)


@pytest.mark.parametrize(
    ("first", "last", "says"),
    [
        ("tokenise", None, "--from: unknown stage; got 'tokenise', allowed curate, dedup"),
        (None, "trian", "--to: unknown stage; got 'trian'"),
        ("train", "dedup", "--from train comes after --to dedup"),
    ],
)
def test_a_part_that_is_none(first: str | None, last: str | None, says: str) -> None:
    with pytest.raises(SettingsError, match=says):
        choose_stages(first, last)
