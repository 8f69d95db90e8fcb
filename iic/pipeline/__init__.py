"""What every stage of the pipeline does."""
