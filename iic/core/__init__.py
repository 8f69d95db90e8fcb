"""Errors, files and parameters, which all other sub-packages use."""
