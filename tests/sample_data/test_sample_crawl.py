"""The crawl: what happens when the server does not do its part, and that it never outlives the crawl."""

import subprocess

import pytest

from llmforge.core.errors import MachineError
from llmforge.sample_data import crawl
from llmforge.sample_data.modules import MODULES
from llmforge.sample_data.scrub import LIBRARY, library_folders, page_scrubber, scrub_headers

_SILENT = """
import socket, time
server = socket.create_server(("127.0.0.1", 0))
print(f"Server ready at http://127.0.0.1:{server.getsockname()[1]}/", flush=True)
time.sleep(60)
"""


@pytest.fixture
def children(monkeypatch):
    """The child processes that the crawl starts."""
    started = []
    popen = subprocess.Popen

    def start(*args, **kwargs):
        started.append(popen(*args, **kwargs))
        return started[-1]

    monkeypatch.setattr(crawl.subprocess, "Popen", start)
    return started


def test_the_server_ends_with_the_crawl(children):
    pages = crawl.crawl_pydoc()
    assert next(pages).url == "http://pydoc.localhost/topics.html"
    assert children[0].poll() is None
    pages.close()
    assert children[0].returncode is not None


def test_the_server_ends_when_its_parent_dies(children):
    """A killed parent closes the pipe to its child's standard input; the server takes that as goodbye."""
    with crawl._pydoc_server():
        children[0].stdin.close()
        assert children[0].wait(timeout=20) == 0


def test_a_server_that_does_not_start_is_a_machine_error(monkeypatch, children):
    monkeypatch.setattr(crawl, "_SERVER", ("-c", "print('no such thing')"))
    with pytest.raises(MachineError, match="did not start within 20 s; it said 'no such thing'") as caught:
        next(crawl.crawl_pydoc())
    assert "-m pydoc" in caught.value.hint
    assert children[0].returncode is not None


def test_a_server_that_hangs_is_given_up(monkeypatch, children):
    monkeypatch.setattr(crawl, "_START_S", 0.2)
    monkeypatch.setattr(crawl, "_SERVER", ("-c", "import time; time.sleep(60)"))
    with pytest.raises(MachineError, match="did not start"):
        next(crawl.crawl_pydoc())
    assert children[0].returncode is not None


def test_a_page_that_does_not_come_is_a_machine_error(monkeypatch, children):
    monkeypatch.setattr(crawl, "_PAGE_S", 0.2)
    monkeypatch.setattr(crawl, "_SERVER", ("-c", _SILENT))
    with pytest.raises(MachineError, match=r"did not send topics\.html \(timed out\)"):
        next(crawl.crawl_pydoc())
    assert children[0].returncode is not None


def test_a_missing_module_is_named(monkeypatch):
    monkeypatch.setattr(crawl, "_SEEDS", ("no_such_module.html",))
    with pytest.raises(MachineError, match=r"pydoc could not document no_such_module\.html") as caught:
        next(crawl.crawl_pydoc())
    assert "lacks part of the standard library" in caught.value.hint


def test_no_module_of_the_list_can_do_harm():
    harmful = {"antigravity", "this", "turtle", "idlelib", "os", "sys", "site", "sysconfig", "platform", "webbrowser"}
    assert harmful.isdisjoint(MODULES)
    assert len(set(MODULES)) == len(MODULES) > 150


def test_build_platform_paths_and_addresses_are_taken_out():
    page = (
        "<div style='float:left'>\n  Python 3.11.7 [main, GCC 12.2.0]<br>Linux-6.1-x86_64-with-glibc2.36\n</div>"
        f'<a href="file:{library_folders()[0]}/abc.py">abc</a> &amp;lt;function&nbsp;f&nbsp;at&nbsp;0x7f01cafe&amp;gt; '
        "<object object at 0x7F01CAFE>"
    )
    assert page_scrubber()(page) == (
        "<div style='float:left'>\n  Python 3.11.7<br></div>"
        f'<a href="file:{LIBRARY}/abc.py">abc</a> &amp;lt;function&nbsp;f&amp;gt; <object object>'
    )


def test_the_date_of_the_answer_is_fixed():
    headers = "HTTP/1.0 200 OK\r\nDate: Mon, 23 Nov 2026 21:48:38 GMT\r\nContent-Type: text/html\r\n\r\n"
    assert scrub_headers(headers) == (
        "HTTP/1.0 200 OK\r\nDate: Sat, 01 Jan 2000 00:00:00 GMT\r\nContent-Type: text/html\r\n\r\n"
    )
