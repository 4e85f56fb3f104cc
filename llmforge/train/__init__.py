"""The training loop: data order, optimizers, schedules, checkpoints, guards, metrics."""
