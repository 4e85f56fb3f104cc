"""Exact duplicates by URL: pages that were fetched from one address."""

import hashlib
from urllib.parse import urlsplit

_DEFAULT_PORTS = {"http": 80, "https": 443}


def normalise_url(url: str) -> str:
    """An address without what does not tell two pages apart; "" where there is none.

    Host in lower case and without `www.`, http and https alike, no default port, no fragment, no slash at the end of
    the path. The path keeps its case and the query its order: servers may tell these apart.
    """
    try:
        parts = urlsplit(url.strip())
        host, port = parts.hostname, parts.port
    except ValueError:  # a port that is no number, a bracket that is not closed
        return ""
    if host is None:
        return ""
    place = "" if port is None or port == _DEFAULT_PORTS.get(parts.scheme) else f":{port}"
    query = f"?{parts.query}" if parts.query else ""
    return host.removeprefix("www.") + place + parts.path.rstrip("/") + query


def url_key(url: str) -> tuple[int, int]:
    """A hash of a normalised address, as two numbers of 64 bits."""
    digest = hashlib.blake2b(url.encode("utf-8", "surrogatepass"), digest_size=16).digest()
    return int.from_bytes(digest[:8], "big"), int.from_bytes(digest[8:], "big")
