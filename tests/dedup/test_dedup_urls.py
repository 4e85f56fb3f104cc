import pytest

from llmforge.dedup.urls import normalise_url


@pytest.mark.parametrize(
    ("url", "normalised"),
    [
        ("http://www.Example.ORG/A/b?x=1&y=2#part", "example.org/A/b?x=1&y=2"),
        ("https://example.org:443/A/b/?x=1&y=2", "example.org/A/b?x=1&y=2"),
        ("https://example.org:8080/", "example.org:8080"),
        ("https://user:secret@example.org", "example.org"),
        ("http://example.org:99999/", ""),
        ("http://[::1/", ""),
        ("notes/one.txt", ""),
        ("", ""),
    ],
)
def test_normalised_urls(url: str, normalised: str) -> None:
    assert normalise_url(url) == normalised


def test_path_and_query_tell_pages_apart() -> None:
    urls = ("http://a.org/x", "http://a.org/X", "http://a.org/x?a=1&b=2", "http://a.org/x?b=2&a=1", "http://b.org/x")
    assert len({normalise_url(url) for url in urls}) == 5
