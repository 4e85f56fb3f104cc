import gzip
import json
import os
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest
from curating import Result, run_curate

from llmforge.core.errors import InputError
from llmforge.curate.readers import checkout
from llmforge.curate.readers.language_by_content import find_language
from llmforge.curate.readers.licenses import find_license, find_license_of_text
from llmforge.pipeline.document_files import to_input

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


def write_tree(folder: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


MIT = "MIT License\n\nPermission is hereby granted, free of charge, to any person obtaining a copy of this software\n"
APACHE = (
    "                Apache License\n           Version 2.0, January 2004\n        http://www.apache.org/licenses/\n"
)


def test_each_repository_has_its_licence_unless_a_file_names_another(curate: Curate, tmp_path: Path) -> None:
    files = {
        "one/LICENSE": MIT,
        "one/a.py": "x = 1\n",
        "one/sub/b.py": "# SPDX-License-Identifier: BSD-3-Clause\n",
        "one/fork/COPYING": APACHE,
        "one/fork/c.c": "int x;\n",
        "two/.git/HEAD": "ref\n",
        "two/LICENSE.md": "no known text\n",
        "two/d.go": "package d\n",
        "e.rs": "fn main() {}\n",
    }
    result = curate(write_tree(tmp_path / "in", files), type="code")
    facts = {row["meta"]["path"]: (row["meta"]["repository"], row["meta"].get("license")) for row in result.kept}
    assert facts == {
        "one/a.py": ("one", "MIT"),
        "one/sub/b.py": ("one", "BSD-3-Clause"),
        "one/fork/c.c": ("one", "Apache-2.0"),
        "two/LICENSE.md": ("two", "unknown"),
        "two/d.go": ("two", "unknown"),
        "e.rs": (".", None),
    }


def test_another_licence_of_the_repository_is_another_input(tmp_path: Path) -> None:
    folder = write_tree(tmp_path / "in", {"LICENSE": MIT, "a.py": "x = 1\n"})
    run_curate(tmp_path / "run", [{"path": str(folder), "type": "code"}])
    (folder / "LICENSE").write_text(APACHE)
    checkout._license_in.cache_clear()
    with pytest.raises(InputError, match=r"in: repositories.*MIT.*Apache-2\.0"):
        run_curate(tmp_path / "run", [{"path": str(folder), "type": "code"}])


def test_what_gitignore_names_is_no_part_of_a_repository(curate: Curate, tmp_path: Path) -> None:
    files = {
        ".gitignore": "*.gen.py\n/out/\n!keep.gen.py\n",
        "a.py": "x = 1\n",
        "b.gen.py": "x = 1\n",
        "keep.gen.py": "x = 1\n",
        "out/c.py": "x = 1\n",
        "sub/.gitignore": "!d.gen.py\n",
        "sub/d.gen.py": "x = 1\n",
        "sub/out/e.py": "x = 1\n",
        "package-lock.json": "{}\n",
        "tool": "#!/usr/bin/env python3\nprint(1)\n",
        "notes": "words\n",
        "Makefile": "all:\n\techo\n",
    }
    result = curate(write_tree(tmp_path / "in", files), type="code")
    paths = {row["meta"]["path"]: row["meta"]["language"] for row in result.kept}
    assert paths == {
        **dict.fromkeys(("a.py", "keep.gen.py", "sub/d.gen.py", "sub/out/e.py", "tool"), "python"),
        "Makefile": "makefile",
    }


@pytest.mark.parametrize(
    ("path", "text", "language"),
    [
        ("a.h", "int f(void);\n", "c"),
        ("a.h", "class A {\npublic:\n  int x;\n};\n", "c++"),
        ("a.h", "@interface A : NSObject\n@end\n", "objective-c"),
        ("a.m", "function y = f(x)\n  y = x;\nend\n", "matlab"),
        ("a.m", "#import <A.h>\n@implementation A\n@end\n", "objective-c"),
        ("a.pl", "use strict;\n", "perl"),
        ("a.pl", ":- module(a, [b/1]).\nb(X) :- c(X).\n", "prolog"),
        ("a.v", "module a(input b);\nendmodule\n", "verilog"),
        ("a.v", "Theorem t : True.\nProof.\nQed.\n", "coq"),
        ("a.ts", "let x: number = 1\n", "typescript"),
        ("a.ts", '<?xml version="1.0"?>\n<!DOCTYPE TS>\n', "xml"),
        ("bin/run", "#!/usr/bin/env -S node --no-warnings\n", "javascript"),
        ("bin/run", "#!/bin/sh -e\n", "shell"),
        ("x/Dockerfile", "FROM a\n", "dockerfile"),
        ("x/CMakeLists.txt", "project(a)\n", "cmake"),
        ("a.nosuch", "words\n", "unknown"),
    ],
)
def test_a_language_is_told_by_name_and_content(path: str, text: str, language: str) -> None:
    assert find_language(path, text) == language


def test_languages_of_real_files_are_the_ones_of_their_projects(real_data: Path) -> None:
    with gzip.open(real_data / "code" / "code.jsonl.gz") as lines:
        rows = [json.loads(line) for line in lines]
    wrong = [row["path"] for row in rows if find_language(row["path"], row["text"]) != row["lang"]]
    assert len(wrong) <= 1
    assert len(rows) == 355


@pytest.mark.parametrize(
    ("text", "name"),
    [
        (MIT, "MIT"),
        (APACHE, "Apache-2.0"),
        ("GNU GENERAL PUBLIC LICENSE\nVersion 3, 29 June 2007\n", "GPL-3.0"),
        ("GNU AFFERO GENERAL PUBLIC LICENSE\nVersion 3, 19 November 2007\n", "AGPL-3.0"),
        ("Mozilla Public License Version 2.0\n", "MPL-2.0"),
        ("This is free and unencumbered software released into the public domain.\n", "Unlicense"),
        ("All rights reserved.\n", None),
    ],
)
def test_a_licence_file_holds_a_licence(text: str, name: str | None) -> None:
    assert find_license_of_text(text) == name


@pytest.mark.timeout(60)
def test_ignore_rules_that_nobody_can_read_or_match_are_passed_over(curate: Curate, tmp_path: Path) -> None:
    hostile = "\n".join(["!", "\\", "*a" * 40 + "b", "build/", "**/old_*/*.py", "[", "a\0b"])
    long_name = "a" * 240 + ".py"
    files = {".gitignore": hostile, "build/x.py": "x = 1\n", "src/old_1/y.py": "x = 1\n", f"src/{long_name}": "x = 1\n"}
    result = curate(write_tree(tmp_path / "in", files))
    assert [row["meta"]["path"] for row in result.kept] == [f"src/{long_name}"]


def test_licence_and_ignore_files_of_any_size_cost_little_memory(tmp_path: Path) -> None:
    folder = write_tree(tmp_path / "in", {"LICENSE": MIT, ".gitignore": "build/\n", "a.py": "x = 1\n"})
    for name in ("LICENSE", ".gitignore"):
        os.truncate(folder / name, 1 << 30)
    file = to_input(folder / "a.py", folder, "s")
    tracemalloc.start()
    chosen, license_name = checkout.select_files([file]), checkout.find_repository_license(file)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert (chosen, license_name) == ([file], "MIT")
    assert peak < 16 << 20
