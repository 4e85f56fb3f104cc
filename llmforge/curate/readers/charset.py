"""Which character set a web page is in.

Source: the order of the HTML standard (byte-order mark, HTTP header, `meta` element, then a guess), except that a
character set which does not decode the page is passed over: headers are wrong often enough.
"""

import codecs
import re

_BOMS = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"))
_META = re.compile(rb"<meta[^>]{0,200}?charset\s{0,9}=\s{0,9}[\"']?\s{0,9}([-\w.:]{1,40})", re.IGNORECASE)
_META_BYTES = 4096
_FALLBACK = "cp1252"

# By label Python would also decode with codecs that are no character sets (idna, unicode_escape, utf_7).
_CHARSETS = frozenset("utf-8 ascii utf-16-le utf-16-be utf-16 cp866 cp874 cp932 cp949 cp950 gb2312 gbk".split()) | {
    *(f"cp125{number}" for number in range(9)),
    *(f"iso8859-{number}" for number in range(1, 17)),
    *("koi8-r", "koi8-u", "mac-roman", "mac-cyrillic"),
    *("gb18030", "big5", "big5hkscs", "euc_jp", "euc_kr", "shift_jis", "iso2022_jp", "tis-620"),
}
# What pages call Latin-1 or ASCII is Windows-1252 to every browser.
_READ_AS = {"iso8859-1": "cp1252", "ascii": "cp1252", "gb2312": "gbk", "shift_jis": "cp932", "utf-16": "utf-16-le"}


def to_utf8(page: bytes, http_charset: str | None) -> tuple[bytes, str, bool]:
    """A page in UTF-8, the character set that it was in, and whether every byte fitted."""
    candidates = _candidates(page, http_charset)
    for name in candidates:
        try:
            text = page.decode(name)
        except UnicodeDecodeError:
            continue
        return _clean(page if name == "utf-8" else text.encode()), name, True
    name = candidates[0]
    return _clean(page.decode(name, "replace").encode()), name, False


def _candidates(page: bytes, http_charset: str | None) -> list[str]:
    """Character sets to try, best first, each once."""
    marked = [charset for bom, charset in _BOMS if page.startswith(bom)]
    meta = _META.search(page[:_META_BYTES])
    labels = (http_charset, meta[1].decode("ascii", "replace") if meta else None)
    named = [*marked, *filter(None, (find_charset(label) for label in labels if label is not None))]
    return list(dict.fromkeys([*named, "utf-8", _FALLBACK]))


def find_charset(label: str) -> str | None:
    """Python's name of a character set, as browsers read the label; None if it is unknown."""
    try:
        name = codecs.lookup(label.strip()).name
    except (LookupError, ValueError):
        return None
    return _READ_AS.get(name, name) if name in _CHARSETS else None


def _clean(page: bytes) -> bytes:
    # NUL is no character of HTML: the standard replaces it.
    return page.removeprefix(codecs.BOM_UTF8).replace(b"\0", "\ufffd".encode())
