"""The report of a segmentation: figures and page."""
