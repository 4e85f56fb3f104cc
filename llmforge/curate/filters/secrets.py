r"""Keys, tokens and passwords are masked as `<KEY>`, in code and in any other text.

Forms that their makers publish are found by their prefix and length. A value given to a name that says what it is
(`api_key = "..."`) counts if it looks random: letters and digits mixed, and at least 3 bits of entropy a character.

Source: Li et al., StarCoder, arXiv 2305.06161, section 4 (keys masked as <KEY>); the publishers' token formats.
"""

import math
import re
from collections import Counter
from collections.abc import Iterator

from llmforge.config.filters.general import SecretsSection
from llmforge.curate.filters.findings import Edited, Removal
from llmforge.curate.filters.text_stats import TextStats

_MASK = "<KEY>"
_FORMS = {
    # The body ends at the next run of five dashes, so that no other key's is read. It is not possessive: Pythons before
    # 3.11.5 read past a lookahead then (python/cpython#100061).
    "private_key": (
        r"-----BEGIN (?:[A-Z]+ )*PRIVATE KEY-----(?:[A-Za-z0-9+/=\s\\:,.]|-(?!----)){20,8000}"
        r"-----END (?:[A-Z]+ )*PRIVATE KEY-----"
    ),
    "aws": r"\b(?:AKIA|ASIA)[A-Z0-9]{16}\b",
    "github": r"\bgh[pousr]_[A-Za-z0-9]{36,255}\b|\bgithub_pat_[A-Za-z0-9_]{60,255}\b",
    "gitlab": r"\bglpat-[A-Za-z0-9_-]{20,64}",
    "google": r"\bAIza[A-Za-z0-9_-]{35}",
    "slack": r"\bxox[abeoprs]-[A-Za-z0-9-]{10,250}",
    "stripe": r"\b[rs]k_(?:live|test)_[A-Za-z0-9]{20,250}\b",
    "hugging_face": r"\bhf_[A-Za-z]{34}\b",
    "npm": r"\bnpm_[A-Za-z0-9]{36}\b",
    "pypi": r"\bpypi-[A-Za-z0-9_-]{80,250}",
    "jwt": r"\beyJ[A-Za-z0-9_-]{10,2000}\.eyJ[A-Za-z0-9_-]{10,4000}\.[A-Za-z0-9_-]{10,2000}",
}
_NAMED = re.compile("|".join(f"(?P<{name}>{form})" for name, form in _FORMS.items()))
_ASSIGNED = re.compile(
    r"(?i)((?:api_?key|apikey|access_?key|secret|token|passwd|password|auth)\w{0,20}[\"']?\s{0,4}(?::|=>?|:=)\s{0,4}"
    r"[\"'])([A-Za-z0-9+/=_.~-]{16,200})(?=[\"'])"
)
_MIN_ENTROPY = 3.0


def examine(stats: TextStats, _limits: SecretsSection) -> Iterator[Edited]:
    """The masked text."""
    removed: list[Removal] = []

    def mask_form(match: re.Match[str]) -> str:
        removed.append(Removal(str(match.lastgroup), match[0]))
        return _MASK

    def mask_value(match: re.Match[str]) -> str:
        if not _looks_random(match[2]):
            return match[0]
        removed.append(Removal("assigned", match[2]))
        return match[1] + _MASK

    text = _ASSIGNED.sub(mask_value, _NAMED.sub(mask_form, stats.text))
    if removed:
        yield Edited(text, tuple(removed))


def _looks_random(value: str) -> bool:
    """Letters and digits mixed, with an entropy above that of words and paths."""
    if not (re.search(r"[0-9]", value) and re.search(r"[A-Za-z]", value)):
        return False
    counts = Counter(value).values()
    return -sum(count / len(value) * math.log2(count / len(value)) for count in counts) >= _MIN_ENTROPY
