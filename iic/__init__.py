"""Invariant Information Clustering: learn to sort images into clusters without labels."""
