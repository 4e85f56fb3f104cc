"""How one optimizer step happens on many ranks."""
