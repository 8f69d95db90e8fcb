"""Scores of a trained model, and its card."""
