"""What Python carries of itself: the source of its standard library, its docstrings, and the language reference."""

import ast
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import orjson

from llmforge.sample_data.crawl import SITE

# Parts that some distributions leave out or patch, and the topics, which are text and not code.
_LEFT_OUT = frozenset(
    """
    antigravity ctypes curses distutils dbm ensurepip idlelib lib2to3 msilib pydoc_data site sitecustomize sqlite3
    sysconfig this tkinter turtle turtledemo usercustomize venv _osx_support
    """.split()
)
_LEFT_OUT_FOLDERS = frozenset({"__pycache__", "test", "tests", "site-packages", "dist-packages"})


@dataclass(frozen=True, slots=True)
class Definition:
    """A docstring and where it stands: `kind` is module, class or function; `name` is dotted."""

    kind: str
    name: str
    url: str
    text: str

    def to_json(self) -> bytes:
        """One JSON line."""
        fields = {"name": self.name, "kind": self.kind, "url": self.url, "text": self.text}
        return orjson.dumps(fields) + b"\n"


def library_files() -> list[tuple[str, Path]]:
    """Source files of the standard library: (path below the library, path on disk), in order of the former.

    Only what CPython names as its library, so that nothing that was installed beside it gets in; without tests and
    without modules that were generated when Python was built.
    """
    library = Path(os.__file__).parent
    found = []
    for folder, subfolders, names in os.walk(library):
        subfolders[:] = [name for name in subfolders if name not in _LEFT_OUT_FOLDERS]
        for name in names:
            path = Path(folder, name)
            relative = path.relative_to(library)
            if path.suffix == ".py" and not path.is_symlink() and _belongs(relative.parts[0].removesuffix(".py")):
                found.append((relative.as_posix(), path))
    return sorted(found)


def _belongs(top_level: str) -> bool:
    return top_level in sys.stdlib_module_names and top_level not in _LEFT_OUT and "sysconfig" not in top_level


def docstrings(relative: str, source: bytes) -> Iterator[Definition]:
    """Docstrings of a source file, read from its syntax tree: nothing is imported.

    Args:
        relative: the file's path below the library, such as `json/decoder.py`.
        source: its content.
    """
    module = relative.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
    tree = ast.parse(source)
    text = ast.get_docstring(tree)
    if text:
        yield Definition("module", module, f"{SITE}{module}.html", text)
    yield from _definitions(tree, module, ())


def _definitions(parent: ast.AST, module: str, outer: tuple[str, ...]) -> Iterator[Definition]:
    """Docstrings below `parent`, with the anchors that pydoc gives them (`#Class-method`)."""
    for node in ast.iter_child_nodes(parent):
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            path = (*outer, node.name)
            kind = "class" if isinstance(node, ast.ClassDef) else "function"
            anchor = node.name if kind == "class" else "-".join(("", *path)[-2:])
            if text := ast.get_docstring(node):
                yield Definition(kind, ".".join((module, *path)), f"{SITE}{module}.html#{anchor}", text)
            if kind == "class":
                yield from _definitions(node, module, path)


def language_reference() -> dict[str, str]:
    """Sections of the Python language reference, by their labels, in order."""
    from pydoc_data.topics import topics

    return dict(sorted(topics.items()))
