"""The child process that runs the extractor: `python -P extract_worker.py ENGINE MAX_CPU_S MAX_MEMORY_BYTES`.

A script of its own, so that it imports nothing of llmforge but what lies beside it, by its path. It says
`{"ready": ...}` first. Then it reads frames from standard input (8 bytes of length, then a page in UTF-8) and answers
each with a frame of JSON on standard output: `{"text": ...}` or `{"error": ...}`. A page that takes too much CPU time
ends the process by SIGPROF.
"""

import contextlib
import gc
import importlib.util
import json
import logging
import os
import resource
import signal
import sys
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

_PARENT_EVERY_S = 1.0
_OBJECTS_OF_A_COLLECTION = 100_000


def main() -> None:
    """Serve pages until standard input ends."""
    max_cpu_s, max_memory_bytes = float(sys.argv[2]), int(sys.argv[3])
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to answer; it closes our input then
    logging.disable(logging.CRITICAL)
    _exit_with_parent()
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever a library prints must not get between the answers
    extract = _load_engine(sys.argv[1])
    _collect_rarely()
    with contextlib.suppress(ValueError, OSError):  # macOS knows no limit on address space
        resource.setrlimit(resource.RLIMIT_AS, (max_memory_bytes, max_memory_bytes))
    _write_frame(answers, {"ready": max_cpu_s})
    while (page := _read_frame(sys.stdin.buffer)) is not None:
        signal.setitimer(signal.ITIMER_PROF, max_cpu_s)
        answer: dict[str, Any]
        try:
            answer = {"text": extract(page.decode())}
        except MemoryError:
            answer = {"error": "extract_memory"}
        except Exception as error:  # whatever an extractor raises is about this page, not about the run
            answer = {"error": "extract_error", "detail": f"{type(error).__name__}: {error}"[:200]}
        signal.setitimer(signal.ITIMER_PROF, 0)
        _write_frame(answers, answer)


def _load_engine(name: str) -> Callable[[str], str | None]:
    """The engine's main text of a page, without comments of readers."""
    if name == "resiliparse":
        from resiliparse.extract.html2text import extract_plain_text

        return partial(extract_plain_text, main_content=True, alt_texts=False)
    from trafilatura import extract

    _load_neighbour("trafilatura_speed").make_faster()
    return partial(extract, include_comments=False, deduplicate=False)


def _load_neighbour(name: str) -> Any:
    """A module beside this script, by its path: the folder is not searched for modules."""
    spec = importlib.util.spec_from_file_location(name, Path(__file__).with_name(f"{name}.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _collect_rarely() -> None:
    """Keep what was imported out of garbage collections, and have few: nearly all of a page goes without them."""
    gc.freeze()
    gc.set_threshold(_OBJECTS_OF_A_COLLECTION)


def _read_frame(stream: BinaryIO) -> bytes | None:
    header = stream.read(8)
    return stream.read(int.from_bytes(header, "little")) if len(header) == 8 else None


def _write_frame(stream: BinaryIO, answer: dict[str, Any]) -> None:
    data = json.dumps(answer).encode()
    stream.write(len(data).to_bytes(8, "little") + data)
    stream.flush()


def _exit_with_parent() -> None:
    parent = os.getppid()

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(_PARENT_EVERY_S)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


if __name__ == "__main__":
    main()
