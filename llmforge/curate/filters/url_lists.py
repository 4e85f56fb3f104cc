"""RefinedWeb's filter of addresses: lists of domains and addresses, and words that an address must not hold.

    domains        the host, or a domain that it is below; `www.` makes no difference
    urls           the address, or one that it is below, without its scheme
    strict words   anywhere, even inside other words; `-` and `.` are looked through
    hard words     as a whole part of the address (parts are runs of letters and digits)
    soft words     the same, but one is allowed

Both sides are in small letters. A document without an address passes.

Source: Penedo et al., The RefinedWeb Dataset, arXiv 2306.01116, appendix G.1; UT1 lists have this form.
"""

import re
from collections.abc import Iterator
from functools import lru_cache

from llmforge.config.filters.web import UrlListsSection
from llmforge.curate.filters.findings import Condition
from llmforge.curate.filters.named_files import read_entries
from llmforge.curate.filters.text_stats import TextStats

_SCHEME = re.compile(r"^[a-z][a-z0-9+.-]*://(?:[^/@]*@)?(?:www\.)?")
_PART = re.compile(r"[^\W_]+")


def examine(stats: TextStats, limits: UrlListsSection) -> Iterator[Condition]:
    """What the lists say of the document's address, in the order of the paper."""
    address = _SCHEME.sub("", stats.url.lower())
    if not address:
        return
    listed = [entry for entry in _domains_above(address) if entry in _entries(limits, "domains")]
    yield _none_of("listed_domain", listed)
    listed = [entry for entry in _addresses_above(address) if entry in _entries(limits, "urls")]
    yield _none_of("listed_url", listed)
    joined = address.replace("-", "").replace(".", "")
    yield _none_of("strict_word", [word for word in _entries(limits, "strict_words") if word in joined])
    parts = _PART.findall(address)
    hard, soft = _entries(limits, "hard_words"), _entries(limits, "soft_words")
    yield _none_of("hard_word", [part for part in parts if part in hard])
    found = [part for part in parts if part in soft]
    yield Condition("soft_words", len(found), limits.max_soft_words, "<=", "max_soft_words", lambda: " ".join(found))


def _none_of(name: str, found: list[str]) -> Condition:
    return Condition(name, len(found), 0, "<=", offender=lambda: " ".join(sorted(found)))


def _domains_above(address: str) -> list[str]:
    """The host of an address and every domain above it: a.b.example.org, b.example.org, example.org, org."""
    labels = re.split(r"[/:?#]", address, maxsplit=1)[0].rstrip(".").split(".")
    return [".".join(labels[start:]) for start in range(len(labels))]


def _addresses_above(address: str) -> list[str]:
    """The address and every one above it: example.org/a/b, example.org/a, example.org."""
    parts = re.split(r"[?#]", address, maxsplit=1)[0].rstrip("/").split("/")
    return [address, *("/".join(parts[:end]) for end in range(len(parts), 0, -1))]


@lru_cache(maxsize=64)
def _entries(limits: UrlListsSection, setting: str) -> frozenset[str]:
    """The entries of all lists of a setting, in the form that addresses are brought to."""
    found = read_entries(limits, getattr(limits, setting))
    if setting == "strict_words":
        return frozenset(re.sub(r"[-.\s]", "", word) for word in found) - {""}
    if setting in ("domains", "urls"):
        return frozenset(_SCHEME.sub("", entry).removeprefix("www.").rstrip("/") for entry in found)
    return found
