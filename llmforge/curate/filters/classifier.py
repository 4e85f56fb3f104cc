"""A score by a model or function of the user's own, noted in the document's `classifier_score`.

A fastText model gives the probability of one label. A function is code that is installed: an entry point of the group
`llmforge.classifiers`, or module:function on Python's path; it takes the text and returns a number. Nothing that a
data file holds is executed: fastText's format holds numbers and words.

Source: Joulin et al., Bag of Tricks for Efficient Text Classification, arXiv 1607.01759; Li et al., DataComp-LM,
arXiv 2406.11794, section 4.4 (fastText as a filter of quality; DCLM-baseline keeps scores of 0.018112 and above).
"""

import math
from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache
from importlib import import_module
from importlib.metadata import entry_points
from typing import Any, cast

from llmforge.config.filters.general import ClassifierSection
from llmforge.core.errors import InputError, SettingsError
from llmforge.curate.filters.findings import Condition
from llmforge.curate.filters.named_files import find_file
from llmforge.curate.filters.text_stats import TextStats

GROUP = "llmforge.classifiers"


def examine(stats: TextStats, limits: ClassifierSection) -> Iterator[Condition]:
    """The score."""
    score = _scorer(limits)(stats.text)
    stats.meta["classifier_score"] = round(score, 6)
    yield Condition("score_too_low", score, limits.min_score, ">=", "min_score")


@lru_cache(maxsize=4)
def _scorer(limits: ClassifierSection) -> Callable[[str], float]:
    """The model or function of the settings.

    Raises: InputError if the model cannot be read or has no such label; SettingsError if there is no such function.
    """
    return _load_function(str(limits.function)) if limits.model is None else _load_model(limits)


def _load_function(name: str) -> Callable[[str], float]:
    function = _find_function(name)

    def failed(text: str, why: str) -> SettingsError:
        document = f"the document that begins {text[:40]!r}"
        return SettingsError(f"classifier.function: {name} failed on {document}: {why}", _GIVES)

    def score(text: str) -> float:
        try:
            value = float(function(text))
        except Exception as error:  # the user's code may raise anything
            raise failed(text, f"{type(error).__name__}: {error}") from error
        if math.isnan(value):
            raise failed(text, "it returned no number (NaN)")
        return value

    return score


def check_functions(rules: Iterable[Any]) -> None:
    """Load every function that the rules name.

    Raises: SettingsError if one cannot be loaded.
    """
    for limits in rules:
        if isinstance(limits, ClassifierSection) and limits.function is not None:
            _scorer(limits)


def _load_model(limits: ClassifierSection) -> Callable[[str], float]:
    import fasttext

    path = find_file(limits, str(limits.model))
    try:
        model = fasttext.load_model(str(path))
    except ValueError as error:
        raise InputError(f"{path}: no fastText model ({error})", "name the .bin or .ftz file of a model") from error
    # A threshold below zero returns every label, those of probability 0 among them.
    labels, _ = model.predict("", k=-1, threshold=-1.0)
    if limits.label not in labels:
        known = ", ".join(map(repr, sorted(labels)[:8]))
        raise InputError(f"{path}: the model has no label {limits.label!r}", f"set classifier.label to one of {known}")

    def score(text: str) -> float:
        found, probabilities = model.predict(" ".join(text.split()), k=-1, threshold=-1.0)
        return float(probabilities[found.index(limits.label)])

    return score


def _find_function(name: str) -> Callable[[str], Any]:
    found = {point.name: point for point in entry_points(group=GROUP)}
    if name in found:
        return cast(Callable[[str], Any], found[name].load())
    module, _, function = name.partition(":")
    try:
        scorer = getattr(import_module(module), function) if function else None
    except (ImportError, AttributeError, ValueError) as error:
        raise SettingsError(f"classifier.function: {name} cannot be loaded ({error})", _HOW) from error
    if not callable(scorer):
        raise SettingsError(f"classifier.function: {name} is no function and no entry point of {GROUP}", _HOW)
    return cast(Callable[[str], Any], scorer)


_HOW = (
    "name an installed entry point, or module:function of a module on Python's path "
    "(PYTHONPATH=. for one in this folder)"
)
_GIVES = "a classifier takes the text and returns a number"
