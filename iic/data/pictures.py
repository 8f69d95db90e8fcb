"""A decoded image before its conversion, and the conversion to colours or grey with light ink."""

from typing import NamedTuple

import numpy as np
from PIL import Image

from iic.core.appearance import Appearance, Numbers
from iic.data.values import BYTES, Range, numbers_of, scaled

# Largest difference between the channels of a grey image after JPEG compression.
_COLORFUL = 32
# Modes of Pillow that an array represents without loss; others are converted to RGB.
_PLAIN_MODES = ("1", "L", "I", "F", "RGB")


class Picture(NamedTuple):
    """A decoded image.

    Attributes:
        values: Numbers (h, w), or (h, w, 3) for colours, in the image's own range.
        opacity: Opacity (h, w), float32, 0 to 1; None if the image is opaque.
    """

    values: np.ndarray
    opacity: np.ndarray | None = None

    @property
    def numbers(self) -> Numbers:
        """Type of number of the values."""
        return numbers_of(self.values.dtype)


def decoded(image: Image.Image) -> Picture:
    """Return the values and the opacity of an image that Pillow has opened.

    Args:
        image: Image of any mode.

    Raises:
        ValueError: Pillow cannot convert the image.
    """
    if "A" in image.getbands() or "a" in image.getbands() or "transparency" in image.info:
        shown = np.asarray(image.convert("RGBA"))
        return with_opacity(shown[..., :3], shown[..., 3])
    if image.mode.startswith("I;16"):
        return Picture(np.asarray(image).astype(np.uint16))
    return Picture(np.asarray(image if image.mode in _PLAIN_MODES else image.convert("RGB")))


def with_opacity(values: np.ndarray, alpha: np.ndarray) -> Picture:
    """Return a picture from its values and its alpha channel (h, w), uint8."""
    return Picture(values, None if (alpha == 255).all() else alpha / np.float32(255))


def grey_of(picture: Picture, limits: Range) -> np.ndarray:
    """Convert a picture to grey; the opacity is ignored.

    Args:
        picture: Decoded image.
        limits: Values that become black and white.

    Returns:
        Grey values (h, w), uint8; colours are weighted by ITU-R 601.
    """
    values = scaled(picture.values, limits)
    if values.ndim == 2:
        return values
    return np.asarray(Image.fromarray(values).convert("L"))


def is_colorful(picture: Picture, limits: Range) -> bool:
    """Return whether a picture has visible colours other than grey."""
    if picture.values.ndim == 2:
        return False
    values = scaled(picture.values, limits).astype(np.int16)
    spread = values.max(axis=2) - values.min(axis=2)
    shown = spread if picture.opacity is None else spread[picture.opacity > 0]
    return bool(shown.size and shown.max() > _COLORFUL)


def light_ink(picture: Picture, appearance: Appearance) -> np.ndarray:
    """Convert a picture to grey values with light ink on dark paper.

    Args:
        picture: Decoded image.
        appearance: Value ranges and ink of the set.

    Returns:
        Grey values (h, w), uint8.
    """
    grey = grey_of(picture, appearance.limits(picture.numbers) or BYTES)
    if picture.opacity is not None:
        if _has_clear_border(picture.opacity):
            return _cut_out(grey, picture.opacity)
        grey = _filled(grey, picture.opacity)
    return 255 - grey if appearance.ink == "dark" else grey


def colors_of(picture: Picture, appearance: Appearance) -> np.ndarray:
    """Convert a picture to colours on white paper; a grey picture has three equal channels.

    Args:
        picture: Decoded image.
        appearance: Value ranges of the set.

    Returns:
        Red, green and blue (h, w, 3), uint8.
    """
    values = scaled(picture.values, appearance.limits(picture.numbers) or BYTES)
    colors = values if values.ndim == 3 else np.repeat(values[..., None], 3, axis=2)
    if picture.opacity is None:
        return colors
    opacity = picture.opacity[..., None]
    return np.rint(colors * opacity + 255 * (1 - opacity)).astype(np.uint8)


def opaque_grey(picture: Picture, limits: Range) -> np.ndarray | None:
    """Return grey values (h, w) to judge the paper by, or None if the paper is transparent."""
    grey = grey_of(picture, limits)
    if picture.opacity is None:
        return grey
    return None if _has_clear_border(picture.opacity) else _filled(grey, picture.opacity)


def edge_of(image: np.ndarray) -> np.ndarray:
    """Return the outermost pixels (p, ...) of an image (h, w, ...)."""
    return np.concatenate([image[0], image[-1], image[1:-1, 0], image[1:-1, -1]])


def border_of(grey: np.ndarray) -> float:
    """Return the median grey value of the outermost pixels, which are mostly paper."""
    return float(np.median(edge_of(grey)))


def _has_clear_border(opacity: np.ndarray) -> bool:
    return border_of(opacity) < 0.5


def _cut_out(grey: np.ndarray, opacity: np.ndarray) -> np.ndarray:
    """Put a cut-out on paper that contrasts with it: the same for a light and a dark ink."""
    is_light = (grey * opacity).sum() >= 127 * opacity.sum()
    ink = grey if is_light else 255 - grey
    return np.rint(ink * opacity).astype(np.uint8)


def _filled(grey: np.ndarray, opacity: np.ndarray) -> np.ndarray:
    """Fill transparent areas with the grey value of the opaque border."""
    edge = edge_of(grey)[edge_of(opacity) >= 0.5]
    paper = np.float32(np.median(edge))
    return np.rint(grey * opacity + paper * (1 - opacity)).astype(np.uint8)
