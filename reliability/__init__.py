"""Campaigns that try to break the pipeline, and count what was tried and what was lost."""
