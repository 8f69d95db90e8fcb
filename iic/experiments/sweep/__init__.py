"""Grids on a cluster of machines."""
