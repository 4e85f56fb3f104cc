"""Code under licences that let it be used: what the reader found in the file, its repository or the data set's row.

The licence stands in the document's `license` (an SPDX identifier, or a list of them of which all have to be allowed).

Source: Kocetkov et al., The Stack, arXiv 2211.15533, section 3 (permissive licences, by SPDX identifier).
"""

from collections.abc import Iterator

from llmforge.config.filters.code import LicenseSection
from llmforge.curate.filters.findings import Condition
from llmforge.curate.filters.text_stats import TextStats


def examine(stats: TextStats, limits: LicenseSection) -> Iterator[Condition]:
    """Whether there is a licence, and each that there is."""
    noted = stats.meta.get("license")
    names = [str(name) for name in (noted if isinstance(noted, list) else [noted] if noted else [])]
    if limits.unknown == "drop":
        yield Condition("no_license", len(names), 1, ">=")
    for name in names:
        for part in _choose_parts(name, limits.keep):
            yield Condition("not_kept", part, " ".join(limits.keep), "in", "keep")


def _choose_parts(expression: str, keep: tuple[str, ...]) -> list[str]:
    """The licences that have to be allowed: all of `A AND B`; of `A OR B` the first alternative that is."""
    alternatives = [
        [part.split(" WITH ")[0].strip("() ") for part in alternative.split(" AND ")]
        for alternative in expression.split(" OR ")
    ]
    return next((parts for parts in alternatives if set(parts) <= set(keep)), alternatives[0])
