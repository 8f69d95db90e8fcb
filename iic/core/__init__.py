"""Errors, files, parameters: what all other sub-packages use."""
