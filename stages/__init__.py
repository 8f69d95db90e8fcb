"""The scripts that DVC runs, one a stage."""
