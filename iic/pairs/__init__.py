"""From images to pairs of transformed views."""
