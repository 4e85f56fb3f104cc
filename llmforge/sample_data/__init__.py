"""Real corpora made out of the Python installation at hand.

make.py        the flow: up to date, or built beside and published whole
corpora.py     what each corpus is, and how it is written
folder.py      the folder: refused if it holds anything else, replaced by renames
crawl.py       a crawl over loopback of the site that pydoc serves
scrub.py       takes the machine out of a page: install paths, addresses, platform, time
warc.py        pages to WARC
modules.py     the fixed list of modules
library.py     the standard library's source, its docstrings, and the language reference
crowd.py       a crowd-work result CSV, written for the purpose
evaluation.py  evaluation items, some of which quote the language reference
"""
