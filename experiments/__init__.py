"""What a person runs around DVC's experiments: recipes, seeds, grids, sweeps, comparisons."""
