"""Code that every stage of both pipelines shares."""
