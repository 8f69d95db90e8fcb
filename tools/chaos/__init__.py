"""Campaigns that try to break the pipeline."""
