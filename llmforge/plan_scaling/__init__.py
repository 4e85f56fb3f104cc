"""From a budget to a model, a number of tokens, and what they cost."""
