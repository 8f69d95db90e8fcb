"""Examination of a set of images: value range, ink and paper, decided once for all of them."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import chain
from typing import Literal, NamedTuple

import numpy as np

from iic.core.appearance import Appearance, Numbers
from iic.core.errors import InputError
from iic.core.params import Ink
from iic.core.sampling import evenly
from iic.data.images import ArraySource, ImageSource
from iic.data.pictures import Picture, border_of, edge_of, is_colorful, opaque_grey
from iic.data.values import BYTES, Range, extremes_of, is_usual, range_of

# Images whose borders and values are examined first.
_EXAMINED = 200
# Share of them that may disagree before the log advises to set the polarity.
_MOST_OPPOSITE = 0.2
# Share of the border that makes it uncertain whether the rest is paper.
_MIXED = 0.25
# Share of images with a border of ink from which a set counts as cut along the ink.
_CUT = 0.2
# Largest share of grey pixels, neither ink nor paper, in an image of ink on paper.
_MOST_GREY = 0.35
# Side of the reduced images that are examined, in pixels.
_SIDE = 128
# Values outside the range of the training set, as a share of it, that are reported.
_BEYOND = 0.01
# Share of a usual range that a set with full contrast covers.
_NARROW = 0.75
# 8-bit images whose brightest value is below need all images for their range.
_DIM = 128


class _Sample(NamedTuple):
    """A reduced picture, with its border complete, and the extremes of the whole picture."""

    picture: Picture
    extremes: Range


@dataclass(frozen=True)
class Examination:
    """What an examination found.

    Attributes:
        appearance: Value ranges, ink and paper.
        examined: Number of images whose borders decided; 0 if the polarity was given or known.
        opposite: Number of these images with the opposite polarity.
        mixed: Number of these images whose border is partly ink and partly paper.
        warnings: What the user should know about the values.
        source: How the polarity was found.
        has_colors: Whether the images stay in colour, without ink and paper.
    """

    appearance: Appearance
    examined: int = 0
    opposite: int = 0
    mixed: int = 0
    warnings: tuple[str, ...] = field(default=(), compare=False)
    source: str = "as given"
    has_colors: bool = False

    def __str__(self) -> str:
        """Describe the polarity and how it was found."""
        if self.has_colors:
            return "in colour"
        is_dark = self.appearance.ink == "dark"
        found = "dark ink on light paper" if is_dark else "light ink on dark paper"
        doubt = f", {self.opposite:,} of {self.examined:,} disagree" if self.opposite else ""
        advice = "; uncertain, set the ink to light or dark" if self.is_unclear else ""
        return f"{found}, {self.source}{doubt}{advice}"

    @property
    def is_unclear(self) -> bool:
        """Whether the borders leave it uncertain what is ink."""
        return self.opposite > _MOST_OPPOSITE * self.examined or 2 * self.mixed > self.examined


def examine(
    sources: Sequence[ImageSource],
    ink: Ink,
    known: Appearance | None = None,
    *,
    by_content: bool = False,
    has_colors: bool = False,
) -> Examination:
    """Find value range, ink and paper of images, the same for all of them.

    The border of a single image may have more ink than paper (a coat that fills the frame), so the
    majority of up to 200 images decides. All images are examined for their range if these 200 have
    another than the usual 8 bits.

    Args:
        sources: Sources of the set.
        ink: Brightness of the ink; "auto" = as known, or as the borders show.
        known: Appearance of the training set, if the images are new ones for its network.
        by_content: Whether to choose the examined images by a hash of their content, which takes
            longer, instead of evenly by position, which may depend on labels.
        has_colors: Whether the images stay in colour; then they have no ink and no paper.

    Returns:
        The appearance, with what the user should know.

    Raises:
        InputError: No image can be read.
    """
    samples = _samples(sources, by_content=by_content)
    ranges, warnings = _ranges(sources, samples, known)
    if has_colors:
        if not any(_is_colorful(sample.picture, ranges) for sample in samples):
            remark = ", but the network sees colours" if known else "; data.channels 1 is faster"
            warnings.append(f"no colours in the images examined{remark}")
        appearance = Appearance(ranges=ranges, ink="light")
        return Examination(appearance, warnings=tuple(warnings), has_colors=True)
    greys = [
        grey
        for sample in samples
        if (grey := opaque_grey(sample.picture, ranges.get(sample.picture.numbers, BYTES)))
        is not None
    ]
    light_borders = sum(border_of(grey) > 127 for grey in greys)
    votes, source = 0, "as given"
    if ink != "auto":
        found = ink
    elif known:
        found, source = known.ink, "as in training"
    else:
        votes, source = len(greys), "by the borders" if greys else "by the transparent paper"
        found = "dark" if 2 * light_borders > votes else "light"
    against = len(greys) - light_borders if found == "dark" else light_borders
    if known and ink == "auto" and 2 * against > len(greys):
        other = "light" if found == "dark" else "dark"
        warnings.append(
            f"{against:,} of {len(greys):,} images have a border of ink, unlike the training set "
            f"({found} ink); if their ink is {other}, use --ink {other}"
        )
    paper, margin = (known.paper, known.margin) if known else _paper(greys, found)
    appearance = Appearance(ranges=ranges, ink=found, paper=paper, margin=margin)
    if not votes:
        return Examination(appearance, warnings=tuple(warnings), source=source)
    mixed = sum(map(_is_mixed, greys))
    return Examination(appearance, votes, against, mixed, tuple(warnings), source)


def _is_colorful(picture: Picture, ranges: dict[Numbers, Range]) -> bool:
    return is_colorful(picture, ranges.get(picture.numbers, BYTES))


def _is_mixed(grey: np.ndarray) -> bool:
    """Return whether a quarter of the border differs from the rest by ink against paper."""
    light = float(np.mean(edge_of(grey) > 127))
    return _MIXED < light < 1 - _MIXED


def _samples(sources: Sequence[ImageSource], *, by_content: bool) -> list[_Sample]:
    """Read up to 200 images, which are reduced; unreadable ones are reported when they are used."""
    places = [(source, index) for source in sources for index in range(len(source.names))]
    if by_content and len(places) > _EXAMINED:
        places.sort(key=lambda place: place[0].digest(place[1]))
        chosen = places[:_EXAMINED]
    else:
        spread = evenly(len(places), _EXAMINED)
        chosen = [places[number] for number in spread]
    samples, failure = [], None
    for source, index in chosen:
        try:
            samples.append(_sample(source, index))
        except InputError as error:
            failure = error
    if not samples:
        raise failure or InputError("there are no images")
    return samples


def _sample(source: ImageSource, index: int) -> _Sample:
    picture = source.read(index)
    rows, columns = (evenly(side, _SIDE) for side in picture.values.shape[:2])
    reduced = np.ix_(rows, columns)
    opacity = None if picture.opacity is None else picture.opacity[reduced]
    return _Sample(Picture(picture.values[reduced], opacity), _extremes(picture))


def _extremes(picture: Picture) -> Range:
    if picture.opacity is not None and picture.numbers == "bytes":
        # The ink of a cut-out may have any value, such as black alone.
        return BYTES
    return extremes_of(picture.values)


def _ranges(
    sources: Sequence[ImageSource], samples: Sequence[_Sample], known: Appearance | None
) -> tuple[dict[Numbers, Range], list[str]]:
    """Return the value range by type of number, and warnings about unusual ranges.

    Known ranges are kept also if the samples have no numbers of their type: other images may.
    """
    found = _joined((sample.picture.numbers, *sample.extremes) for sample in samples)
    if any(numbers != "bytes" or high < _DIM for numbers, (_, high) in found.items()):
        # Few images do not show the range of the set.
        found = _joined(chain.from_iterable(_all_extremes(source) for source in sources))
    ranges: dict[Numbers, Range] = dict(known.ranges) if known else {}
    warnings: list[str] = []
    for numbers, (low, high) in found.items():
        if numbers in ranges:
            warnings += _beyond(ranges[numbers], low, high)
        else:
            ranges[numbers] = range_of(numbers, low, high)
            if not is_usual(numbers, ranges[numbers]):
                warnings.append(_scaling(ranges[numbers], low, high))
            elif high - low < _NARROW * ranges[numbers][1]:
                warnings.append(_narrow(ranges[numbers], low, high))
    return ranges, warnings


def _joined(extremes: Iterator[tuple[Numbers, float, float]]) -> dict[Numbers, Range]:
    """Return the smallest and the largest value by type of number."""
    joined: dict[Numbers, Range] = {}
    for numbers, low, high in extremes:
        lowest, highest = joined.get(numbers, (low, high))
        joined[numbers] = (min(lowest, low), max(highest, high))
    return joined


def _all_extremes(source: ImageSource) -> Iterator[tuple[Numbers, float, float]]:
    """Yield the extremes of an array, or of each file that can be read."""
    if isinstance(source, ArraySource):
        yield source.extremes()
        return

    def read(index: int) -> tuple[Numbers, float, float] | None:
        try:
            picture = source.read(index)
            return (picture.numbers, *_extremes(picture))
        except InputError:
            return None

    with ThreadPoolExecutor(source.threads) as pool:
        yield from filter(None, pool.map(read, range(len(source.names))))


def _scaling(limits: Range, low: float, high: float) -> str:
    black, white = limits
    return (
        f"values range from {low:.6g} to {high + 0.0:.6g}; scaled so that {black:.6g} is black and "
        f"{white + 0.0:.6g} is white"
    )


def _narrow(limits: Range, low: float, high: float) -> str:
    return (
        f"values range from {low:.6g} to {high:.6g} only, where {limits[0]:.6g} is black and "
        f"{limits[1]:.6g} is white; if that is not meant, scale them"
    )


def _beyond(limits: Range, low: float, high: float) -> list[str]:
    """Warn if new images have another range than the training set."""
    black, white = limits
    margin = _BEYOND * (white - black)
    # Images that are all dark may be part of a set with the full range.
    if black - margin <= low and high <= white + margin and high - black > (white - black) / 4:
        return []
    return [
        f"values range from {low:.6g} to {high:.6g}, unlike the training set: {black:.6g} is black "
        f"and {white:.6g} is white there; scale them in the same way"
    ]


def _paper(
    greys: Sequence[np.ndarray], ink: Literal["light", "dark"]
) -> tuple[int, Literal["none", "ink", "all"]]:
    """Return the grey value of the paper, once the ink is light, and who gets a margin."""
    inverted = [255 - grey if ink == "dark" else grey for grey in greys]
    borders = np.array([border_of(grey) for grey in inverted])
    is_cut = borders > 127
    paper = round(float(np.median(borders[~is_cut]))) if (~is_cut).any() else 0
    between = [np.mean((grey > 63) & (grey < 192)) for grey in inverted]
    # Photographs have neither ink nor paper, and need no margin.
    if not between or np.median(between) > _MOST_GREY:
        return paper, "none"
    return paper, "all" if is_cut.mean() >= _CUT else "ink"
