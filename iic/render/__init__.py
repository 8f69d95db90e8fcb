"""Figures, image files and HTML pages, independent of the data that they show."""
