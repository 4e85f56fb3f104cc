"""Builds torchrun and deepspeed command lines, and runs them."""
