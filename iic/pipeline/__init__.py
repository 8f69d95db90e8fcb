"""Code that every stage of the pipeline shares."""
