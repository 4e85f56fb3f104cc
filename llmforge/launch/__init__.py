"""Starting training as several processes, and reading from disk how it ended."""
