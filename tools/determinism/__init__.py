"""Under which conditions the outputs are byte-identical."""
