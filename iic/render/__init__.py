"""Figures, pictures and pages, independent of what they show."""
