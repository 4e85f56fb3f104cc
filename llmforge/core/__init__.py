"""The floor: errors, documents, shard files, hashing, text, progress and hardware."""
