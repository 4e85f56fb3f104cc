"""mC4's rule, for pages of any language: a page needs a few long lines.

Source: Xue et al., mT5, arXiv 2010.11934, section 3.2: at least three lines of 200 or more characters.
"""

from collections.abc import Iterator

from llmforge.config.filters.prose import Mc4Section
from llmforge.curate.filters.findings import Condition
from llmforge.curate.filters.text_stats import TextStats


def examine(stats: TextStats, limits: Mc4Section) -> Iterator[Condition]:
    """Long lines."""
    num_long = sum(len(line) >= limits.long_line_chars for line in stats.text.split("\n"))
    yield Condition("too_few_long_lines", num_long, limits.min_long_lines, ">=", "min_long_lines")
