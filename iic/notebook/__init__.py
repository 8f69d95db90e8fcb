"""Figures and pages of a fitted estimator, for notebooks."""
