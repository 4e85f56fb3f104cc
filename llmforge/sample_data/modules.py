"""The modules whose pages are crawled: a fixed list, so that what else is installed changes nothing.

All are in every Python from 3.11 on, importing them has no side effect, and their pages depend neither on optional
parts of the build (ssl, zlib, sqlite3, readline) nor on the machine (os, socket, signal, site, platform).
"""

MODULES = tuple(
    """
    abc argparse ast base64 bdb bisect calendar cmd code codecs codeop colorsys compileall configparser contextlib
    contextvars copy copyreg csv dataclasses datetime difflib dis doctest enum filecmp fileinput fnmatch fractions
    functools genericpath getopt gettext glob graphlib heapq inspect ipaddress keyword linecache modulefinder netrc
    ntpath numbers opcode operator optparse pathlib pickle pickletools pkgutil plistlib posixpath pprint profile
    pstats py_compile pyclbr queue quopri random reprlib runpy sched shelve shlex shutil socketserver statistics
    string stringprep struct symtable tabnanny tempfile textwrap timeit token tokenize trace traceback types typing
    warnings wave weakref zipapp
    asyncio.base_futures asyncio.base_tasks asyncio.constants asyncio.coroutines asyncio.events asyncio.exceptions
    asyncio.format_helpers asyncio.futures asyncio.locks asyncio.mixins asyncio.protocols asyncio.queues
    asyncio.runners asyncio.streams asyncio.taskgroups asyncio.tasks asyncio.threads asyncio.timeouts
    asyncio.transports
    collections collections.abc concurrent.futures concurrent.futures.thread
    email email.base64mime email.charset email.contentmanager email.encoders email.errors email.feedparser
    email.generator email.header email.headerregistry email.iterators email.message email.mime.application
    email.mime.audio email.mime.base email.mime.image email.mime.message email.mime.multipart email.mime.nonmultipart
    email.mime.text email.parser email.policy email.quoprimime email.utils
    html html.entities html.parser http http.cookies
    importlib.abc importlib.machinery importlib.metadata importlib.resources importlib.resources.abc importlib.util
    json json.decoder json.encoder json.scanner
    logging logging.config logging.handlers re tomllib
    unittest.async_case unittest.case unittest.loader unittest.mock unittest.result unittest.runner unittest.suite
    unittest.util
    urllib.error urllib.parse urllib.response urllib.robotparser
    wsgiref.handlers wsgiref.headers wsgiref.simple_server wsgiref.types wsgiref.util wsgiref.validate
    xml.dom xml.dom.domreg xml.dom.minicompat xml.dom.minidom xml.dom.pulldom xml.dom.xmlbuilder xml.etree.ElementPath
    xml.etree.ElementTree xml.sax xml.sax.handler xml.sax.saxutils xml.sax.xmlreader
    zoneinfo
    """.split()
)
