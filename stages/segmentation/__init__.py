"""The stages of the segmentation pipeline."""
