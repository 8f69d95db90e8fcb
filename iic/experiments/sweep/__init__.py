"""Sweeps: grids of experiments on one machine or on a Ray cluster."""
