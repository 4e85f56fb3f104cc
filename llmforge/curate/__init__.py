"""From sources to documents: read, extract, judge, and account for every drop."""
