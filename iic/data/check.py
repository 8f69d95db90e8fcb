"""Images from which nothing meaningful can be learned: blank, dim, tiny, equal, unlike others."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from iic.core.params import Fitting
from iic.core.plurals import counted

# Contrast, in grey values, below which an image is blank: more than noise of ±15.
_BLANK = 40
# Mean grey value of an image that is nearly all ink.
_FULL = 205
# Largest side of the ink, as a share of the image's, that is tiny. MNIST's ink has 20 of 28 pixels.
_TINY = 10 / 28
# Brightest pixel of an image that is dim.
_DIM = 100
# Share of the images that make a warning; single blank images are always counted.
_MANY = 0.25
# Standard deviations between the mean ink of new images and of training images.
_FAR = 3.0
# Images from which a share of clusters says something.
_ENOUGH = 10


class Ink(NamedTuple):
    """Mean and standard deviation of the ink of images, as a share of full ink."""

    mean: float
    spread: float


class ImageCheck:
    """Counts of doubtful images, added up over batches.

    Attributes:
        total: Number of images.
    """

    def __init__(self, size: Fitting) -> None:
        """Start with no images; `size` is how they were resized."""
        self.total = 0
        self._size = size
        self._has_colors = False
        self._counts = dict.fromkeys(("blank", "full", "tiny", "dim"), 0)
        self._ink: list[np.ndarray] = []
        self._areas: list[np.ndarray] = []
        self._seen: set[int] = set()

    def add(self, images: np.ndarray) -> None:
        """Count images, uint8: (n, h, w), light ink on dark paper, or (n, h, w, 3) in colour."""
        if not len(images):
            return
        self._has_colors = images.ndim == 4
        flat = images.reshape(len(images), -1)
        low, high, mean = flat.min(axis=1), flat.max(axis=1), flat.mean(axis=1)
        blank = high - low < _BLANK
        self.total += len(images)
        self._counts["blank"] += int(blank.sum())
        self._ink.append(mean / 255)
        self._seen.update(hash(row.tobytes()) for row in flat)
        if self._has_colors:
            self._counts["dim"] += int((~blank & (high < _DIM)).sum())
            return
        # Reducing a large page makes its ink dim.
        inked = images > (low + (high - low) // 2)[:, None, None]
        side = np.maximum(inked.any(axis=1).sum(axis=1), inked.any(axis=2).sum(axis=1))
        self._counts["full"] += int((mean > _FULL).sum())
        tiny = ~blank & (side <= _TINY * images.shape[1])
        self._counts["dim"] += int((~blank & ~tiny & (high < _DIM)).sum())
        self._counts["tiny"] += int(tiny.sum())
        self._areas.append(inked.mean(axis=(1, 2)))

    @property
    def different(self) -> int:
        """Number of different images."""
        return len(self._seen)

    @property
    def ink(self) -> Ink:
        """Mean and standard deviation of the ink."""
        ink = np.concatenate(self._ink) if self._ink else np.zeros(1)
        return Ink(float(ink.mean()), float(ink.std()))

    def warnings(self, known: Ink | None = None) -> list[str]:
        """Describe what is doubtful.

        Args:
            known: Ink of the training images, if these are new images for the same network.

        Returns:
            One line for each kind of doubt.
        """
        lines = []
        advice = "set data.size to crop (iic predict --size crop)"
        if n := self._counts["blank"]:
            tiny = self._size != "crop" and not self._has_colors and self._many("blank")
            more = f"; if their ink is tiny on a large page, {advice}" if tiny else ""
            no_ink = "" if self._has_colors else "no ink, or "
            lines.append(f"{self._of(n)} blank: {no_ink}a contrast below {_BLANK} of 255{more}")
        if self._many("full"):
            lines.append(
                f"{self._of(self._counts['full'])} nearly all ink; "
                "if ink and paper are exchanged, set data.ink (iic predict --ink)"
            )
        if self._many("dim"):
            lines.append(
                f"{self._of(self._counts['dim'])} dim: no pixel is brighter than {_DIM} of 255; "
                "scale the values so that the brightest is white"
            )
        if self._many("tiny"):
            area = 100 * float(np.median(np.concatenate(self._areas)))
            more = "" if self._size == "crop" else f": {advice}"
            lines.append(
                f"{self._of(self._counts['tiny'])} tiny: ink fills {area:.2g} % of the page{more}"
            )
        if known and abs(self.ink.mean - known.mean) > _FAR * max(known.spread, 0.01):
            what = "brightness is" if self._has_colors else "ink covers"
            of = "in" if self._has_colors else "of"
            lines.append(
                f"{what} {100 * self.ink.mean:.0f} % {of} these images, but "
                f"{100 * known.mean:.0f} % {of} the training images; their clusters mean little"
            )
        return lines

    def _many(self, kind: str) -> bool:
        return self._counts[kind] > _MANY * self.total

    def _of(self, n: int) -> str:
        return f"{n:,} of {counted(self.total, 'image')} {'is' if n == 1 else 'are'}"


def assignment_warnings(clusters: Sequence[int], confidence: Sequence[float]) -> list[str]:
    """Describe assignments that mean little.

    Args:
        clusters: Cluster of each new image (n,).
        confidence: Probability of that cluster (n,).

    Returns:
        One line for each kind of doubt.
    """
    if len(clusters) < _ENOUGH:
        return []
    lines = []
    values, counts = np.unique(clusters, return_counts=True)
    largest = int(counts.argmax())
    if counts[largest] >= 0.9 * len(clusters):
        lines.append(
            f"{counts[largest]:,} of {len(clusters):,} images are in cluster {values[largest]}; "
            "are they like the training images?"
        )
    if (median := float(np.median(confidence))) < 0.6:
        lines.append(
            f"half of the images have a probability below {median:.2f}; "
            "are they like the training images?"
        )
    return lines
