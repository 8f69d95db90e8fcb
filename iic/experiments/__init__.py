"""Many runs: recipes, seeds, grids and comparisons."""
