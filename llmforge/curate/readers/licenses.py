"""Which licence a source file says that it is under, and which licence a licence file holds.

Source: SPDX identifiers (ISO/IEC 5962), and the titles and notices of the licences themselves.
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

# How the text of a licence begins, in the same form.
_TITLES = (
    ("Apache-2.0", ("apache license", "version 2.0, january 2004")),
    ("AGPL-3.0", ("gnu affero general public license", "version 3")),
    ("LGPL-3.0", ("gnu lesser general public license", "version 3")),
    ("LGPL-2.1", ("gnu lesser general public license", "version 2.1")),
    ("GPL-3.0", ("gnu general public license", "version 3")),
    ("GPL-2.0", ("gnu general public license", "version 2")),
    ("MPL-2.0", ("mozilla public license", "version 2.0")),
    ("EPL-2.0", ("eclipse public license", "2.0")),
    ("BSL-1.0", ("boost software license",)),
    ("CC0-1.0", ("cc0 1.0 universal",)),
    ("CC-BY-SA-4.0", ("attribution sharealike 4.0 international",)),
    ("CC-BY-4.0", ("attribution 4.0 international",)),
    ("PSF-2.0", ("python software foundation license",)),
    ("Unlicense", ("this is free and unencumbered software released into the public domain",)),
    ("Zlib", ("this software is provided as is , without any express", "altered source versions must be plainly")),
    ("WTFPL", ("do what the fuck you want to public license",)),
)
_TITLE_CHARS = 1500


def find_license_of_text(text: str) -> str | None:
    """The SPDX identifier of the licence that a licence file holds; None if it is none of those known here."""
    words = _NO_WORDS.sub(" ", text[:_TITLE_CHARS]).lower()
    titled = next((name for name, phrases in _TITLES if all(phrase in words for phrase in phrases)), None)
    return titled or find_license(text)


def find_license(text: str) -> str | None:
    """The SPDX identifier of the licence that the head of a file names; None if it names none."""
    head = text[:_HEAD_CHARS]
    if named := _SPDX.search(head):
        return named[1]
    words = _NO_WORDS.sub(" ", head).lower()
    return next((name for name, phrases in _NOTICES if all(phrase in words for phrase in phrases)), None)
