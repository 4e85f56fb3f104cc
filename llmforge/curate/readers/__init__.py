"""One small file for each kind of source; `table.py` knows them by name, `items.py` says what they hand out."""
