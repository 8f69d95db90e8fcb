"""Colours of segments: distinct, and the same wherever a segment is shown."""

import colorsys

import numpy as np
from PIL import Image

# The Okabe-Ito set, which suits colour-blind readers, without black.
_FIRST = (
    (0, 114, 178),
    (230, 159, 0),
    (0, 158, 115),
    (204, 121, 167),
    (86, 180, 233),
    (213, 94, 0),
    (240, 228, 66),
)
# Distance of two hues on the circle that keeps any number of them apart.
_GOLDEN = 0.381966
# Colour of pixels without a segment.
NO_SEGMENT = (128, 128, 128)


def palette(colors: int) -> np.ndarray:
    """Return distinct colours.

    Args:
        colors: Number of colours.

    Returns:
        (colors, 3) uint8 red, green and blue.
    """
    more = [
        tuple(
            round(255 * channel)
            for channel in colorsys.hsv_to_rgb(index * _GOLDEN % 1, 0.55 + 0.3 * (index % 2), 0.9)
        )
        for index in range(max(0, colors - len(_FIRST)))
    ]
    return np.array([*_FIRST, *more][:colors], np.uint8)


def segment_colors(classes: list[int | None], labels: int) -> np.ndarray:
    """Return a colour for each segment: that of its class, or one of its own without a class.

    Args:
        classes: Class of each segment, or None.
        labels: Number of classes, whose colours are the first of the palette.

    Returns:
        (segments, 3) uint8.
    """
    lonely = iter(range(labels, labels + len(classes)))
    colors = palette(labels + len(classes))
    return np.stack([colors[next(lonely) if label is None else label] for label in classes])


def palette_image(segments: np.ndarray, colors: np.ndarray) -> Image.Image:
    """Return segments (h, w), uint8, as an image of their numbers, with their colours as palette.

    Args:
        segments: Segments; those without a colour become grey.
        colors: (k, 3) uint8 colours.
    """
    image = Image.fromarray(segments)
    image.putpalette(painted(np.arange(256, dtype=np.uint8), colors).tobytes())
    return image


def painted(segments: np.ndarray, colors: np.ndarray) -> np.ndarray:
    """Paint segments.

    Args:
        segments: Integer segments of any shape; those without a colour become grey.
        colors: (k, 3) uint8 colours.

    Returns:
        (…, 3) uint8.
    """
    table = np.full((256, 3), NO_SEGMENT, np.uint8)
    table[: len(colors)] = colors
    return table[segments]
