"""llmforge: train language models from scratch, and account for everything on the way."""

__version__ = "0.1.0"
