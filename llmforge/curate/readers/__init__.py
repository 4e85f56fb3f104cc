"""One small reader for each kind of source."""
