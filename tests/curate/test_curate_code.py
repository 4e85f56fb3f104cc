import gzip
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from curating import Result

from llmforge.curate.readers.licenses import find_license

Curate = Callable[..., Result]


@pytest.mark.parametrize(
    ("text", "license_name"),
    [
        ("// SPDX-License-Identifier: GPL-2.0-only\nint x;", "GPL-2.0-only"),
        ("# SPDX-License-Identifier: (MIT OR Apache-2.0)\n", "MIT OR Apache-2.0"),
        ("/*\n * Licensed under the Apache License,\n * Version 2.0 (the ...\n */", "Apache-2.0"),
        ("# Permission is hereby granted, free of charge,\n# to any person obtaining a copy of this", "MIT"),
        ("# Redistribution and use in source and binary forms, with\n# Neither the name of", "BSD-3-Clause"),
        ("# Redistribution and use in source and binary forms, with", "BSD-2-Clause"),
        ("; under the GNU Lesser General Public License, version 2.1", "LGPL-2.1"),
        ("print('no word of it')", None),
        ("x = 1\n" * 1000 + "# SPDX-License-Identifier: MIT", None),
    ],
)
def test_a_file_says_which_licence_it_is_under(text: str, license_name: str | None) -> None:
    assert find_license(text) == license_name


def test_a_checkout_keeps_paths_and_languages_and_leaves_out_what_is_not_its_own(
    curate: Curate, tmp_path: Path
) -> None:
    files = {
        "src/a.py": b"# SPDX-License-Identifier: MIT\nx = 1\n",
        "src/latin.py": b"# -*- coding: latin-1 -*-\nx = '\xe9'\n",
        "src/lib.rs": b"fn main() {}\n",
        "src/bad.c": b'char *x = "\xe9";\n',
        "src/image.js": b"\x00\x01\x02",
        "src/empty.py": b"",
        "node_modules/b/index.js": b"var x;\n",
        ".git/hooks/x.py": b"x = 1\n",
        "README": b"words\n",
    }
    for name, data in files.items():
        path = tmp_path / "in" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    result = curate(tmp_path / "in")
    assert [row["meta"] for row in result.kept] == [
        {"path": "src/a.py", "language": "python", "repository": ".", "license": "MIT"},
        {"path": "src/latin.py", "language": "python", "repository": "."},
        {"path": "src/lib.rs", "language": "rust", "repository": "."},
    ]
    assert result.texts[1].endswith("'é'\n")
    assert result.rules == {"binary_file": 1, "empty_file": 1}
    assert result.errors == {"invalid_utf8": 1}


def test_licences_of_real_files_are_the_ones_of_their_projects(real_data: Path) -> None:
    with gzip.open(real_data / "code" / "code.jsonl.gz") as lines:
        rows = [json.loads(line) for line in lines]
    found = [(row["license"], name) for row in rows if (name := find_license(row["text"])) is not None]
    assert len(found) > 30
    agreeing = [True for given, name in found if name in given or given in name]
    assert len(agreeing) / len(found) > 0.9
