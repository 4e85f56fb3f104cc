"""What a stage is: its folder, manifest, fingerprint and records, and how it is built whole or not at all."""
