"""Architectures without torch: presets, exact parameter counts, FLOPs, memory arithmetic, parallel degrees."""
