"""A real crawl, over loopback, of the documentation site that Python's own pydoc server serves.

The server runs in a child with an emptied environment, without site-packages, in an empty folder. The crawler asks
for a fixed list of modules and for every topic page that it finds a link to; never for the module index or the search
page, which list whatever is installed.
"""

import builtins
import keyword
import re
import selectors
import socket
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import Generator, Iterator
from contextlib import contextmanager

from llmforge.core.errors import MachineError
from llmforge.sample_data.modules import MODULES
from llmforge.sample_data.scrub import page_scrubber, scrub_headers
from llmforge.sample_data.warc import Exchange

SITE = "http://pydoc.localhost/"
_SEEDS = ("topics.html", "keywords.html", *(f"{module}.html" for module in MODULES))
_TOPIC_LINK = re.compile(r'href="(topic\?key=([A-Za-z]+))"')
_FAILED = "<title>Pydoc: Error"

_START_S = 20.0
_PAGE_S = 30.0
_CRAWL_S = 180.0
# Everything that the server may know of its surroundings: a fixed order of sets, and UTF-8.
_ENVIRONMENT = {"PYTHONHASHSEED": "0", "PYTHONUTF8": "1", "LC_ALL": "C"}
# No user or system site-packages, no unsafe path, no byte code written, unbuffered, silent about old modules.
_SERVER = ("-s", "-S", "-P", "-B", "-u", "-W", "ignore", "-m", "pydoc", "-n", "127.0.0.1", "-p", "0")


def crawl_pydoc() -> Generator[Exchange, None, None]:
    """Fetch the seeds and every topic page that a fetched page links to, each once, in a fixed order.

    Yields: the exchanges, scrubbed of install paths, addresses, platform, port and time.
    Raises: MachineError if the server does not start or a page does not arrive in time.
    """
    scrub = page_scrubber()
    queue, seen = deque(_SEEDS), set(_SEEDS)
    deadline_s = time.monotonic() + _CRAWL_S
    with _pydoc_server() as port:
        while queue:
            path = queue.popleft()
            request = _request(path)
            headers, page = _split(_fetch(port, request, path, deadline_s), path)
            page = scrub(page)
            new = [link for link in _topic_links(page) if link not in seen]
            seen.update(new)
            queue.extend(new)
            yield Exchange(SITE + path, request, scrub_headers(headers).encode(), page.encode())


@contextmanager
def _pydoc_server() -> Iterator[int]:
    """Run the server in a child; gives its port. The child ends with the block, or with its standard input."""
    with (
        tempfile.TemporaryDirectory() as empty_folder,
        subprocess.Popen(
            [sys.executable, *_SERVER],
            cwd=empty_folder,
            env=_ENVIRONMENT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        ) as child,
    ):
        try:
            yield _announced_port(child)
        finally:
            child.kill()


def _topic_links(page: str) -> list[str]:
    """Links to topics, keywords, builtins and listed modules; a link to another module is not followed."""
    found = dict(_TOPIC_LINK.findall(page))
    return [link for link, key in found.items() if key.isupper() or _is_documented(key)]


def _is_documented(name: str) -> bool:
    return keyword.iskeyword(name) or hasattr(builtins, name) or name in MODULES


def _announced_port(child: "subprocess.Popen[bytes]") -> int:
    """The port that the server chose, read from its first line."""
    assert child.stdout is not None
    with selectors.DefaultSelector() as selector:
        selector.register(child.stdout, selectors.EVENT_READ)
        line = child.stdout.readline().decode() if selector.select(_START_S) else ""
    port = re.search(r"http://127\.0\.0\.1:(\d+)/", line)
    if port is None:
        raise MachineError(
            f"pydoc's server did not start within {_START_S:.0f} s; it said {line.strip()!r}",
            f"try it by hand: {sys.executable} -m pydoc -n 127.0.0.1 -p 0",
        )
    return int(port[1])


def _request(path: str) -> bytes:
    return f"GET /{path} HTTP/1.1\r\nHost: pydoc.localhost\r\nAccept: text/html\r\nConnection: close\r\n\r\n".encode()


def _fetch(port: int, request: bytes, path: str, deadline_s: float) -> bytes:
    """Send a request and read until the server closes, as HTTP/1.0 does."""
    answer = bytearray()
    page_deadline_s = min(deadline_s, time.monotonic() + _PAGE_S)
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=_time_left(page_deadline_s)) as connection:
            connection.sendall(request)
            while chunk := connection.recv(1 << 16):
                answer += chunk
                connection.settimeout(_time_left(page_deadline_s))
    except OSError as error:
        raise MachineError(
            f"pydoc's server did not send {path} ({error})", "run the command again; the folder is untouched"
        ) from error
    return bytes(answer)


def _time_left(deadline_s: float) -> float:
    left_s = deadline_s - time.monotonic()
    if left_s <= 0:
        raise TimeoutError("timed out")
    return left_s


def _split(answer: bytes, path: str) -> tuple[str, str]:
    """Headers (with the empty line) and page of an answer; a topic that leads nowhere stays, as it does on the web.

    Raises: MachineError if there is none, or if pydoc's page says that it could not import the module.
    """
    headers, separator, page = answer.decode().partition("\r\n\r\n")
    if not page or (path in _SEEDS and _FAILED in page):
        raise MachineError(
            f"pydoc could not document {path} with {sys.executable}",
            "this Python lacks part of the standard library; use a complete one (Debian: apt install python3-full)",
        )
    return headers + separator, page
