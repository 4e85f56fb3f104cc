"""One transformer for every architecture; it knows nothing of parallelism."""
