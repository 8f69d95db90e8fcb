"""Conversion of one image, grey with light ink or in colour, to the network's size."""

import numpy as np
from PIL import Image
from scipy.ndimage import grey_opening, uniform_filter

from iic.core.appearance import Appearance
from iic.core.constants import IMAGE_SIZE
from iic.core.params import Fitting
from iic.data.pictures import border_of, edge_of

# MNIST scales the ink to 20 of 28 pixels (http://yann.lecun.com/exdb/mnist/).
_INK_SHARE = 20 / IMAGE_SIZE
# Contrast of ink and paper, in grey values, below which a page is blank: twice a noise of ±15.
_BLANK = 40
# Contrast below which noise could be all that there is, and that of noise averaged over 9 pixels.
_FAINT, _NOISE = 100, 26
# Grey value of paper in the darkest shadow, once the ink is light.
_DARKEST = 191
# Side of the reduced page whose local paper is estimated, and the widest stroke on it, in pixels.
_REDUCED, _STROKE = 96, 25


def resized(
    image: np.ndarray, size: Fitting, appearance: Appearance, side: int = IMAGE_SIZE
) -> np.ndarray:
    """Resize an image to a square; only `crop` changes an image of that size.

    Args:
        image: Grey values (h, w), uint8, light ink on dark paper, or colours (h, w, 3), uint8.
        size: How to resize, see data.size in params.yaml; not `crop` for colours.
        appearance: Paper of the set, and whether its images get a margin, if they are grey.
        side: Height and width of the result, in pixels.

    Returns:
        Grey values (side, side) or colours (side, side, 3), uint8.

    Raises:
        ValueError: The image has another size, and `size` is "refuse".
    """
    if size == "crop":
        return _crop(image, side)
    height, width = image.shape[:2]
    if height == width == side:
        return image
    if size == "refuse":
        raise ValueError(
            f"{width}×{height} pixels instead of {side}×{side}; set data.size to fit, stretch"
            f"{' or crop' if image.ndim == 2 else ''}"
        )
    if size == "stretch":
        return _scale(image, (side, side))
    if image.ndim == 3:
        return _padded(image, np.median(edge_of(image), axis=0), side, side)
    return _fit(image, appearance, side)


def _scale(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Scale to (height, width); shrinking averages pixels, which preserves thin strokes."""
    shrinks = size[0] <= image.shape[0] and size[1] <= image.shape[1]
    resampling = Image.Resampling.BOX if shrinks else Image.Resampling.BILINEAR
    return np.asarray(Image.fromarray(image).resize((size[1], size[0]), resampling))


def _fit(grey: np.ndarray, appearance: Appearance, side: int) -> np.ndarray:
    """Scale the longer side, with a margin if that is missing, and pad with paper."""
    own = round(border_of(grey))
    is_cut = appearance.margin == "all" or (appearance.margin == "ink" and own > 127)
    # A border of ink says nothing about the paper.
    paper = appearance.paper if is_cut or own > 127 else own
    return _padded(grey, paper, _ink_size(side) if is_cut else side, side)


def _ink_size(side: int) -> int:
    """Largest side of the ink in an image of this side, in pixels: 20 of 28."""
    return round(_INK_SHARE * side)


def _padded(image: np.ndarray, background: int | np.ndarray, longest: int, side: int) -> np.ndarray:
    """Scale the longer side of an image to `longest` pixels, in the middle of a square."""
    before = max(image.shape[:2])
    height, width = (max(1, round(own * longest / before)) for own in image.shape[:2])
    frame = np.empty((side, side, *image.shape[2:]), np.uint8)
    frame[...] = background
    top, left = (side - height) // 2, (side - width) // 2
    frame[top : top + height, left : left + width] = _scale(image, (height, width))
    return frame


def _crop(grey: np.ndarray, side: int) -> np.ndarray:
    """Crop to the ink as MNIST does: longer side 20 of 28 pixels, centre of mass in the middle."""
    ink = np.clip(grey.astype(np.float32) - _local_paper(grey), 0, None)
    frame = np.zeros((side, side), np.uint8)
    if _is_blank(ink):
        return frame
    ink = np.rint(ink * (255 / ink.max())).astype(np.uint8)
    # np.nonzero would need gigabytes for a large image.
    inked = ink > 127
    rows, columns = (np.flatnonzero(inked.any(axis=axis)) for axis in (1, 0))
    ink = ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    height, width = (max(1, round(own * _ink_size(side) / max(ink.shape))) for own in ink.shape)
    small = _scale(ink, (height, width))
    top, left = (
        min(max(0, round(side / 2 - middle)), side - size)
        for middle, size in zip(_centre_of_mass(small), (height, width), strict=True)
    )
    frame[top : top + height, left : left + width] = small
    return frame


def _is_blank(ink: np.ndarray) -> bool:
    """Return whether there is only noise: single pixels stand out, but not their surroundings."""
    if (top := ink.max()) < _BLANK:
        return True
    return bool(top < _FAINT and uniform_filter(ink, 3).max() < _NOISE)


def _local_paper(grey: np.ndarray) -> np.ndarray:
    """Estimate the paper under the ink, which a shadow makes uneven.

    An opening removes strokes from a reduced page. The brightest paper of its border is the upper
    limit, so that ink wider than a stroke is not taken for paper.

    Returns:
        Grey values of the paper (h, w), or (1, 1) if they are the same everywhere.
    """
    own = border_of(grey)
    edge = edge_of(grey)
    # Ink that reaches the border is no shadow; a shadow leaves most of the contrast.
    brightest = float(np.percentile(edge, 95))
    if brightest - own < _BLANK / 2 or brightest > _DARKEST:
        return np.full((1, 1), own, np.float32)
    factor = max(1.0, max(grey.shape) / _REDUCED)
    small = _scale(grey, tuple(max(1, round(side / factor)) for side in grey.shape))
    limit = min(float(edge_of(small).max()), _DARKEST)
    # Continued beyond the border, since a shadow is often deepest there.
    around = _STROKE // 2
    page = np.pad(small.astype(np.float32), around, mode="reflect", reflect_type="odd")
    opened = grey_opening(page, size=(_STROKE, _STROKE))[around:-around, around:-around]
    paper = np.clip(opened, own, limit)
    return _scale(paper.astype(np.uint8), grey.shape).astype(np.float32)


def _centre_of_mass(ink: np.ndarray) -> list[float]:
    """Row and column of the centre of mass, in pixels from the upper left corner."""
    # Strokes much thinner than a pixel may vanish; then all pixels have equal mass.
    mass = ink.astype(np.float64) + (0 if ink.any() else 1)
    return [
        float((mass.sum(axis=1 - axis) * (np.arange(size) + 0.5)).sum() / mass.sum())
        for axis, size in enumerate(ink.shape)
    ]
