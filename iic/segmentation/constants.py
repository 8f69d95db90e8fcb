"""Values that several modules of segmentation share."""

# Value in masks of a pixel that is not scored.
IGNORED = 255
# Largest number of classes, and of segments: both are stored as bytes.
MOST_CLASSES = 250
