"""Personal data: e-mail addresses, public IP addresses and telephone numbers are masked and counted.

A mask says what stood there: `|||EMAIL_ADDRESS|||`, `|||IP_ADDRESS|||`, `|||PHONE_NUMBER|||`. Private, reserved and
invalid IP addresses stay, as do numbers after the word "version" and those that end in `.0`; other version numbers of
four parts are masked too. A telephone number needs a plus sign, or the form of North America with its separators; bare
digits are no telephone number. An address at the very end of a text counts.

Source: Soldaini et al., Dolma, arXiv 2402.00159, section 5 (masks, and dropping documents that hold more than five);
datatrove, PIIFormatter (public addresses only); RFC 5321 (lengths); ITU-T E.164.
"""

import re
from collections.abc import Callable, Iterator
from ipaddress import ip_address

from llmforge.config.filters.general import PiiSection
from llmforge.curate.filters.findings import Condition, Edited, Finding, Removal
from llmforge.curate.filters.text_stats import TextStats

_EMAIL = re.compile(
    r"(?<![\w.%+-])[A-Za-z0-9_%+-](?:[\w.%+-]{0,62}[A-Za-z0-9_%+-])?"
    r"@(?:[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.){1,8}[A-Za-z]{2,24}(?![\w-])"
)
# Of version 6, only what can be public (2000::/3): `a[::2]` and `Set::new` are code.
_IP = re.compile(
    r"(?<![\w.:])(?<!version )(?<!Version )"
    r"(?:\d{1,3}(?:\.\d{1,3}){3}(?!\.?\w)|[23][0-9A-Fa-f]{3}(?::[0-9A-Fa-f]{0,4}){2,7}(?![\w:]))"
)
_PHONE = re.compile(
    r"(?<![\w+.-])(?:"
    r"\+\d{1,3}(?:[ .-]?\(?\d{1,4}\)?){2,6}"
    r"|(?:1[ .-])?(?:\(\d{3}\) ?|\d{3}[ .-])\d{3}[.-]\d{4}"
    r")(?![\w-])"
)


def examine(stats: TextStats, limits: PiiSection) -> Iterator[Finding]:
    """The masked text, and how much there was to mask."""
    text = stats.text
    removed: list[Removal] = []
    for kind in limits.kinds:
        sign, pattern, is_one, mask = _KINDS[kind]
        if any(map(text.__contains__, sign)):
            text = pattern.sub(_masker(kind, is_one, mask, removed), text)
    if removed:
        yield Edited(text, tuple(removed))
    if limits.max_found is not None:
        yield Condition("too_much_personal_data", len(removed), limits.max_found, "<=", "max_found")


def _masker(
    kind: str, is_one: Callable[[str], bool], mask: str, removed: list[Removal]
) -> Callable[[re.Match[str]], str]:
    def replace(match: re.Match[str]) -> str:
        if not is_one(match[0]):
            return match[0]
        removed.append(Removal(kind, match[0]))
        return mask

    return replace


def _is_public(found: str) -> bool:
    if found.endswith(".0"):  # a network's address, or a version
        return False
    try:
        return ip_address(found).is_global
    except ValueError:
        return False


def _is_phone(found: str) -> bool:
    return 8 <= sum(map(str.isdigit, found)) <= 15


_KINDS: dict[str, tuple[str, re.Pattern[str], Callable[[str], bool], str]] = {
    "email": ("@", _EMAIL, lambda _: True, "|||EMAIL_ADDRESS|||"),
    "ip": (".:", _IP, _is_public, "|||IP_ADDRESS|||"),
    "phone": ("+-.", _PHONE, _is_phone, "|||PHONE_NUMBER|||"),
}
"""Of each kind: signs without which there is none, how it looks, whether what looks so is one, and its mask."""
