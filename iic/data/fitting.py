"""Conversion of one image to the network's input: grey, light ink on dark paper, 28×28 pixels."""

import numpy as np
from PIL import Image

from iic.core.constants import IMAGE_SIZE
from iic.core.params import Fitting

# Largest difference between the channels of a grey image after JPEG compression.
_COLORFUL = 32
# MNIST scales the ink to 20×20 pixels (http://yann.lecun.com/exdb/mnist/).
_INK_SIZE = 20
# Values scaled at once.
_PART = 1_000_000


def grey_of(image: Image.Image) -> np.ndarray:
    """Convert an image to grey; transparent areas become paper that contrasts with the ink.

    Args:
        image: Decoded image of any mode.

    Returns:
        Grey values (h, w), uint8.

    Raises:
        ValueError: Pillow cannot convert the image, or its values have an unknown range.
    """
    if image.mode.startswith("I;16"):
        # Pillow would clip all values above 255.
        return (np.asarray(image) >> 8).astype(np.uint8)
    if image.mode in ("I", "F"):
        return as_bytes(np.asarray(image))
    if "A" in image.getbands() or "transparency" in image.info:
        shown = np.asarray(image.convert("LA"))
        grey, opacity = shown[..., 0].astype(np.float32), shown[..., 1] / np.float32(255)
        is_light_ink = (grey * opacity).sum() > 127 * opacity.sum()
        paper = 0 if is_light_ink else 255
        return np.rint(grey * opacity + paper * (1 - opacity)).astype(np.uint8)
    return np.asarray(image if image.mode == "L" else image.convert("L"))


def as_bytes(numbers: np.ndarray) -> np.ndarray:
    """Scale an array to bytes.

    Args:
        numbers: Array of any shape: booleans, or numbers from 0 to 255 or from 0 to 1.

    Returns:
        Array of the same shape, uint8, 0 to 255.

    Raises:
        ValueError: The values have another type or range.
    """
    if numbers.dtype == bool:
        return numbers * np.uint8(255)
    is_number = numbers.dtype.kind in "iuf"
    low, high = (numbers.min(), numbers.max()) if is_number else (np.nan, np.nan)
    if not 0 <= low <= high <= 255:
        raise ValueError("values must be numbers from 0 to 255, or from 0 to 1")
    if high > 1 and numbers.dtype == np.uint8:
        return numbers
    scaled = np.empty(numbers.shape, np.uint8)
    # In parts: the whole array in float64 would take eight times its memory.
    parts = max(1, numbers.size // _PART)
    for part, target in zip(
        np.array_split(numbers, parts), np.array_split(scaled, parts), strict=True
    ):
        target[...] = np.rint(part * 255.0 if high <= 1 else part)
    return scaled


def is_colorful(image: Image.Image) -> bool:
    """Return whether an image has colours other than grey."""
    if image.mode in ("1", "L", "LA") or image.mode.startswith(("I", "F")):
        return False
    channels = np.asarray(image.convert("RGB")).astype(np.int16)
    return bool((channels.max(axis=2) - channels.min(axis=2)).max() > _COLORFUL)


def border_of(grey: np.ndarray) -> float:
    """Return the median grey value of the outermost pixels, which are mostly paper."""
    return float(np.median(np.concatenate([grey[0], grey[-1], grey[1:-1, 0], grey[1:-1, -1]])))


def resized(grey: np.ndarray, size: Fitting) -> np.ndarray:
    """Resize an image to 28×28 pixels; an image of that size is returned unchanged.

    Args:
        grey: Grey values (h, w), uint8, light ink on dark paper.
        size: How to resize, see data.size in params.yaml.

    Returns:
        Grey values (28, 28), uint8.

    Raises:
        ValueError: The image has another size, and `size` is "refuse".
    """
    if grey.shape == (IMAGE_SIZE, IMAGE_SIZE):
        return grey
    if size == "refuse":
        raise ValueError(
            f"{grey.shape[1]}×{grey.shape[0]} pixels instead of {IMAGE_SIZE}×{IMAGE_SIZE}; "
            "set data.size to fit, stretch or crop"
        )
    if size == "stretch":
        return _scale(grey, (IMAGE_SIZE, IMAGE_SIZE))
    return _crop(grey) if size == "crop" else _fit(grey)


def _scale(grey: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Scale to (height, width); shrinking averages pixels, which preserves thin strokes."""
    shrinks = size[0] <= grey.shape[0] and size[1] <= grey.shape[1]
    resampling = Image.Resampling.BOX if shrinks else Image.Resampling.BILINEAR
    return np.asarray(Image.fromarray(grey).resize((size[1], size[0]), resampling))


def _fit(grey: np.ndarray) -> np.ndarray:
    """Scale the longer side to 28 pixels and pad with the image's own paper."""
    height, width = (max(1, round(side * IMAGE_SIZE / max(grey.shape))) for side in grey.shape)
    frame = np.full((IMAGE_SIZE, IMAGE_SIZE), round(border_of(grey)), np.uint8)
    top, left = (IMAGE_SIZE - height) // 2, (IMAGE_SIZE - width) // 2
    frame[top : top + height, left : left + width] = _scale(grey, (height, width))
    return frame


def _crop(grey: np.ndarray) -> np.ndarray:
    """Crop to the ink as MNIST does: longer side 20 pixels, centre of mass in the middle."""
    ink = np.clip(grey - border_of(grey), 0, None)
    frame = np.zeros((IMAGE_SIZE, IMAGE_SIZE), np.uint8)
    if not ink.any():
        return frame
    ink = np.rint(ink * (255 / ink.max())).astype(np.uint8)
    # np.nonzero would need gigabytes for a large image.
    inked = ink > 127
    rows, columns = (np.flatnonzero(inked.any(axis=axis)) for axis in (1, 0))
    ink = ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    height, width = (max(1, round(side * _INK_SIZE / max(ink.shape))) for side in ink.shape)
    small = _scale(ink, (height, width))
    top, left = (
        min(max(0, round(IMAGE_SIZE / 2 - middle)), IMAGE_SIZE - size)
        for middle, size in zip(_centre_of_mass(small), (height, width), strict=True)
    )
    frame[top : top + height, left : left + width] = small
    return frame


def _centre_of_mass(ink: np.ndarray) -> list[float]:
    """Row and column of the centre of mass, in pixels from the upper left corner."""
    # Strokes much thinner than a pixel may vanish; then all pixels have equal mass.
    mass = ink.astype(np.float64) + (0 if ink.any() else 1)
    return [
        float((mass.sum(axis=1 - axis) * (np.arange(size) + 0.5)).sum() / mass.sum())
        for axis, size in enumerate(ink.shape)
    ]
