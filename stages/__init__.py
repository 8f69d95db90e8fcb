"""Scripts that DVC runs, one for each stage."""
