"""Which language a source file is in: by its name, and by its content where the name leaves it open.

A name is told by its whole (Makefile), then by its ending. Endings that several languages use are settled by
statements that only one of them has; a file without an ending by the interpreter that its first line calls.
"""

import re
from pathlib import PurePosixPath

from llmforge.curate.readers.languages import INTERPRETERS, LANGUAGES, NAMED_FILES, TEXTS_AND_DATA

_HEAD_CHARS = 20_000
_SHEBANG = re.compile(r"#!\s*(?:\S*/)?(?:env\s+(?:-\S+\s+|\w+=\S*\s+)*)?(?:\S*/)?([A-Za-z]+)")
_CPP = r"^\s*(?:class\s+\w|namespace\b|template\s*<|public:|private:|using\s+\w|#include <(?:iostream|vector|string)>)"
_OBJECTIVE_C = r"^\s*(?:@interface|@implementation|@protocol|@end|@class|@property|#import\b)"

# Of each ending: the first language whose sign stands at the beginning of a line; else the one of the table.
_SIGNS = {
    ".h": (("objective-c", _OBJECTIVE_C), ("c++", _CPP)),
    ".m": (
        ("objective-c", _OBJECTIVE_C),
        ("mathematica", r"^\s*\(\*"),
        ("matlab", r"^\s*(?:function\b|%|end\s*$|clear\b)"),
    ),
    ".pl": (("prolog", r"^\s*(?::-|[a-z]\w*\(.*\)\s*:-)"),),
    ".v": (("coq", r"^\s*(?:Require|Theorem|Lemma|Definition|Proof|Inductive|Qed)\b"),),
    ".ts": (("xml", r"\A\s*<\?xml|\A\s*<!DOCTYPE TS"),),
    ".r": (("rebol", r"^\s*rebol\s*\["),),
    ".d": (("makefile", r"\A[^\s:]+:\s.*(?:\\$|\.h\b)"),),
    ".fs": (("glsl", r"^\s*(?:#version|uniform\b|varying\b|precision\b)"), ("forth", r"^\s*: \S+ .*;")),
    ".cs": (("smalltalk", r"^!\w+ (?:class )?methodsFor:"),),
}
_COMPILED = {
    ending: tuple((name, re.compile(sign, re.MULTILINE)) for name, sign in signs) for ending, signs in _SIGNS.items()
}


def find_language(path: str, text: str) -> str:
    """The language of a file of a checkout, `unknown` if neither name nor content tells it.

    Args:
        path: where it stands, with forward slashes.
        text: its content.
    """
    name = PurePosixPath(path).name.lower()
    ending = PurePosixPath(name).suffix
    if name in NAMED_FILES:
        return NAMED_FILES[name]
    head = text[:_HEAD_CHARS]
    for language, sign in _COMPILED.get(ending, ()):
        if sign.search(head):
            return language
    known = LANGUAGES.get(ending) or TEXTS_AND_DATA.get(ending)
    return known or find_interpreter(text) or "unknown"


def find_interpreter(text: str) -> str | None:
    """The language of the interpreter that a script's first line calls; None if it calls none that is known."""
    called = _SHEBANG.match(text[:200])
    return INTERPRETERS.get(called[1].lower()) if called is not None else None
