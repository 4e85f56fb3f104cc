"""Plots of plans, fits and sweeps, from what their files say."""
