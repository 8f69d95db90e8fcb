"""Scores and tables of a trained model, and its card."""
