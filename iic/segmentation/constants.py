"""Values that several modules of segmentation share."""

# Value in masks of a pixel that is not scored.
IGNORED = 255
