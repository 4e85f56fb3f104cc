"""Rules that keep or drop a document, one small file each; `table.py` knows them by name."""
