"""Taking the machine out of a page, so that equal Python versions give equal bytes.

pydoc prints where Python is installed, the compiler and platform it was built for, and the addresses of objects;
its server adds the time. Each is replaced by a fixed word, or left out.
"""

import os
import re
import sys
import sysconfig
from collections.abc import Callable

LIBRARY = "/python/lib"
FIXED_DATE = "Sat, 01 Jan 2000 00:00:00 GMT"

_BUILD = re.compile(r"(<div style='float:left'>\s*Python [^\s<]+) \[[^<]*\]<br>[^<]*")
_ADDRESS = re.compile(r"( |&nbsp;)at( |&nbsp;)0x[0-9A-Fa-f]+")
_DATE = re.compile(r"^Date: [^\r\n]*", re.MULTILINE)


def library_folders() -> list[str]:
    """Names under which the standard library of this Python stands on disk, the longest first."""
    paths = sysconfig.get_paths(vars={"base": sys.base_prefix, "platbase": sys.base_exec_prefix})
    found = {paths["stdlib"], paths["platstdlib"], os.path.dirname(os.__file__)}
    return sorted(found | {os.path.realpath(path) for path in found}, key=lambda path: (-len(path), path))


def page_scrubber() -> Callable[[str], str]:
    """A function that takes install paths, build, platform and addresses out of a page of pydoc."""
    library = re.compile("|".join(re.escape(folder) for folder in library_folders()))

    def scrub(page: str) -> str:
        return library.sub(LIBRARY, _ADDRESS.sub("", _BUILD.sub(r"\1<br>", page)))

    return scrub


def scrub_headers(headers: str) -> str:
    """HTTP headers with a fixed date, and the rest as the server sent it."""
    return _DATE.sub(f"Date: {FIXED_DATE}", headers)
