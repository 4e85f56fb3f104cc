"""HTML to text in a child process that can be killed alone: extractors crash, leak and run for ever on hostile pages.

Deterministic limits come first (see `html_limits`). CPU time is the last resort: a page that ends the child is
tried once more in a new one, alone, and then quarantined as not reproducible. The child also ends with its parent,
and is replaced after a number of pages, because the extractor leaks.
"""

import atexit
import contextlib
import fcntl
import os
import select
import signal
import subprocess
import sys
from functools import lru_cache
from pathlib import Path
from typing import Any

import orjson

from llmforge.config.curate import ExtractSection
from llmforge.core.documents import document_id
from llmforge.core.errors import MachineError
from llmforge.core.records import BadRecord
from llmforge.curate.html_limits import find_excess
from llmforge.curate.readers.items import BadItem, RawDocument

MAX_MEMORY_BYTES = 3 << 30
_PIPE_BYTES = 1 << 20
_PAGES_OF_A_CHILD = 2000
_WORKER = Path(__file__).with_name("extract_worker.py")
# glibc's lists of small freed blocks cost more than they save with trees of elements: 3 % of the time, measured.
_TUNABLES = {"GLIBC_TUNABLES": "glibc.malloc.mxfast=0"}
_FIXED = {"PYTHONHASHSEED": "0", "OMP_NUM_THREADS": "1"}  # the seed orders sets, and so ties in scores
_TIME_OR_CRASH = ("extract_timeout", "extract_crash", "extract_memory")


class ExtractError(Exception):
    """A page that cannot be extracted; `error` is its name, and some errors depend on the machine."""

    def __init__(self, error: str) -> None:
        super().__init__(error)
        self.error = error
        self.is_reproducible = error not in _TIME_OR_CRASH


class Extractor:
    """Extracts the main text of pages in a child process, started when the first page comes."""

    def __init__(self, limits: ExtractSection) -> None:
        self._limits = limits
        self._child: subprocess.Popen[bytes] | None = None
        self._num_pages = 0

    def extract(self, page: bytes) -> str | None:
        """The main text of a page in UTF-8; None if it has none.

        Raises: ExtractError with the name of what is wrong with the page; MachineError if no child can be started.
        """
        if excess := find_excess(page, self._limits):
            raise ExtractError(excess)
        answer = self._ask(page)
        if answer.get("error") in _TIME_OR_CRASH:
            self.close()
            answer = self._ask(page)
        if "error" in answer:
            self._close_if_ended()
            raise ExtractError(answer["error"])
        return (answer["text"] or "").strip() or None

    def _close_if_ended(self) -> None:
        if self._child is not None and self._child.poll() is not None:
            self.close()

    def close(self) -> None:
        """End the child."""
        child, self._child = self._child, None
        if child is not None:
            child.kill()
            child.communicate()

    def _ask(self, page: bytes) -> dict[str, Any]:
        """The child's answer, or what its end says."""
        if self._child is None or self._num_pages >= _PAGES_OF_A_CHILD:
            self.close()
            self._child, self._num_pages = self._start(), 0
        self._num_pages += 1
        child = self._child
        assert child.stdin is not None
        assert child.stdout is not None
        try:
            child.stdin.write(len(page).to_bytes(8, "little") + page)
            child.stdin.flush()
        except BrokenPipeError:
            return self._explain_end(child)
        # CPU time ends a busy child; this ends one that sleeps for ever.
        if not select.select([child.stdout], [], [], 60 + 10 * self._limits.max_cpu_s)[0]:
            return {"error": "extract_timeout"}
        answer = _read_frame(child)
        return self._explain_end(child) if answer is None else answer

    def _explain_end(self, child: "subprocess.Popen[bytes]") -> dict[str, Any]:
        """Why the child ended in the middle of a page."""
        return {"error": "extract_timeout" if child.wait() == -signal.SIGPROF else "extract_crash"}

    def _start(self) -> "subprocess.Popen[bytes]":
        # -P: the worker's own folder is not searched for modules.
        limits = (str(self._limits.max_cpu_s), str(MAX_MEMORY_BYTES))
        command = [sys.executable, "-P", str(_WORKER), self._limits.engine, *limits]
        environment = {**_TUNABLES, **os.environ, **_FIXED}
        try:
            child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment)
        except OSError as error:
            raise MachineError(f"no process for extraction ({error})", "free memory, or use fewer --workers") from error
        _widen(child)
        if _read_frame(child) is None:
            child.communicate()
            raise MachineError(
                f"the extraction process ended at once (status {child.wait()})",
                f"see why: {sys.executable} -c 'import {self._limits.engine}'",
            )
        return child


def _widen(child: "subprocess.Popen[bytes]") -> None:
    """Let a whole page into the pipe at once, where the system can: every 64 kB would cost a change of process."""
    assert child.stdin is not None
    if hasattr(fcntl, "F_SETPIPE_SZ"):
        with contextlib.suppress(OSError):  # over the system's limit for all pipes
            fcntl.fcntl(child.stdin, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)


def extract_page(raw: RawDocument, extractor: Extractor) -> RawDocument | BadItem:
    """A page with its main text, which may be empty; or a bad item, if it cannot be extracted."""
    page = raw.html or b""
    try:
        text = extractor.extract(page) or ""
    except ExtractError as error:
        record = BadRecord.of(error.error, raw.offset, page)
        return BadItem(raw.locator, record, error.is_reproducible)
    document = raw.document
    document.text, document.id = text, document_id(document.source, raw.locator, text)
    return raw


def _read_frame(child: "subprocess.Popen[bytes]") -> dict[str, Any] | None:
    """The child's next answer; None if it has ended."""
    assert child.stdout is not None
    header = child.stdout.read(8)
    data = child.stdout.read(int.from_bytes(header, "little")) if len(header) == 8 else b""
    return orjson.loads(data) if data else None


@lru_cache(maxsize=1)
def shared_extractor(limits: ExtractSection) -> Extractor:
    """The extractor of this process: its child serves every shard, and ends with the process."""
    extractor = Extractor(limits)
    atexit.register(extractor.close)
    return extractor
