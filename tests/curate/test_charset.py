import pytest

from llmforge.curate.readers.charset import find_charset, to_utf8

TEXT = "<p>Größe, café – “Zitat”</p>"
CYRILLIC = "<p>Привет, мир</p>"


@pytest.mark.parametrize(
    ("page", "header", "text", "charset"),
    [
        (TEXT.encode(), "utf-8", TEXT, "utf-8"),
        (TEXT.encode(), None, TEXT, "utf-8"),
        (TEXT.encode("cp1252"), "ISO-8859-1", TEXT, "cp1252"),  # as browsers read the label
        (TEXT.encode("cp1252"), None, TEXT, "cp1252"),  # the fallback
        (CYRILLIC.encode("koi8-r"), "koi8-r", CYRILLIC, "koi8-r"),
        (b"\xef\xbb\xbf" + TEXT.encode(), "koi8-r", TEXT, "utf-8"),  # a mark is believed before the header
        (b"\xff\xfe" + TEXT.encode("utf-16-le"), None, TEXT, "utf-16-le"),
        (TEXT.encode("cp1252"), "utf-8", TEXT, "cp1252"),  # a header that cannot be right is passed over
    ],
)
def test_a_page_is_decoded_as_it_is_meant(page: bytes, header: str | None, text: str, charset: str) -> None:
    assert to_utf8(page, header) == (text.encode(), charset, True)


@pytest.mark.parametrize(
    "meta",
    [
        '<meta charset="windows-1251">',
        "<META CHARSET=windows-1251>",
        '<meta http-equiv="Content-Type" content="text/html; charset=windows-1251">',
    ],
)
def test_the_page_itself_may_say(meta: str) -> None:
    page = (meta + CYRILLIC).encode("cp1251")
    assert to_utf8(page, None) == ((meta + CYRILLIC).encode(), "cp1251", True)
    assert to_utf8(page, "no-such-charset") == ((meta + CYRILLIC).encode(), "cp1251", True)


def test_bytes_that_fit_nothing_are_replaced_and_said() -> None:
    page = b"\x81\x8d" + "\u20ac".encode()[:2]
    utf8, charset, is_exact = to_utf8(page, "utf-8")
    assert (charset, is_exact) == ("utf-8", False)
    assert set(utf8.decode()) == {"\ufffd"}


def test_nul_is_replaced_as_the_standard_says() -> None:
    assert to_utf8(b"<p>a\0b</p>", None)[0] == "<p>a\ufffdb</p>".encode()


@pytest.mark.parametrize("label", ["unicode_escape", "idna", "utf-7", "rot13", "zlib", "undefined", "", "x\0y", "é"])
def test_codecs_that_are_no_character_sets_are_not_used(label: str) -> None:
    assert find_charset(label) is None
