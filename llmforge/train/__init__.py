"""Training: one global order of samples, schedules, checkpoints, guards, metrics, and the loop that joins them."""
