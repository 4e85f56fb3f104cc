"""Which licence a source file says that it is under.

Source: SPDX identifiers (ISO/IEC 5962), and the notices that the licences themselves ask for. A file that says
nothing may still be under the licence of its repository; that is not judged here.
"""

import re

_HEAD_CHARS = 4000
_SPDX = re.compile(r"SPDX-License-Identifier:[ \t]*\(?([\w.+-]+(?: (?:AND|OR|WITH) [\w.+-]+)*)")
_NO_WORDS = re.compile(r"[^\w.,]+")

# What a notice says, without marks of comments; all phrases of a row must be there, and the first such row counts.
_NOTICES = (
    ("Apache-2.0", ("licensed under the apache license, version 2.0",)),
    ("MIT", ("permission is hereby granted, free of charge, to any person obtaining a copy",)),
    ("BSD-3-Clause", ("redistribution and use in source and binary forms", "neither the name")),
    ("BSD-2-Clause", ("redistribution and use in source and binary forms",)),
    ("MPL-2.0", ("mozilla public license, v. 2.0",)),
    ("AGPL-3.0", ("gnu affero general public license", "version 3")),
    ("LGPL-3.0", ("gnu lesser general public license", "version 3")),
    ("LGPL-2.1", ("gnu lesser general public license", "version 2.1")),
    ("GPL-3.0", ("gnu general public license", "version 3")),
    ("GPL-2.0", ("gnu general public license", "version 2")),
    ("ISC", ("permission to use, copy, modify, and or distribute this software for any purpose",)),
)


def find_license(text: str) -> str | None:
    """The SPDX identifier of the licence that the head of a file names; None if it names none."""
    head = text[:_HEAD_CHARS]
    if named := _SPDX.search(head):
        return named[1]
    words = _NO_WORDS.sub(" ", head).lower()
    return next((name for name, phrases in _NOTICES if all(phrase in words for phrase in phrases)), None)
