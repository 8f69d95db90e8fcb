"""Images: download, reading of a user's own images, conversion to the network's input."""
