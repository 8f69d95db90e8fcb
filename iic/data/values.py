"""Value ranges: which numbers are black and white, decided once for a set of images."""

import math

import numpy as np

from iic.core.appearance import Numbers

Range = tuple[float, float]
BYTES: Range = (0, 255)
# Overshoot, as a share of the usual range, that rounding or resampling leaves.
_TOLERANCE = 0.001
# The brightest value of a set that uses its range is above this share of it.
_USED = 0.5
# Difference of the values, in 8-bit images without black, that is noise (±15) and not ink.
_NOISE = 30
# Values scaled at once.
_PART = 1_000_000
NOT_FINITE = "values must be finite numbers; there are NaN or infinite ones"


def numbers_of(dtype: np.dtype) -> Numbers:
    """Return the type of number of an array.

    Raises:
        ValueError: The values are not numbers.
    """
    if dtype.kind == "b":
        return "bits"
    if dtype == np.uint8:
        return "bytes"
    if dtype.kind not in "iuf":
        raise ValueError(f"values must be numbers, not {dtype}")
    return "floats" if dtype.kind == "f" else "integers"


def extremes_of(values: np.ndarray) -> Range:
    """Return the smallest and the largest value of an array.

    Raises:
        ValueError: The values are not finite numbers.
    """
    numbers_of(values.dtype)
    low, high = float(values.min()), float(values.max())
    # Also of a range that overflows.
    if not math.isfinite(high - low):
        raise ValueError(NOT_FINITE)
    return low, high


def range_of(numbers: Numbers, low: float, high: float) -> Range:
    """Choose the values that become black and white from the extremes of a set.

    Usual ranges are 0 to 255 and, for floats, 0 to 1. They are kept if the set uses at least half
    of them, or consists of 8-bit images that only have noise. Any other set is scaled from 0, or
    from its smallest value if that is negative or above half of the largest (8-bit images: always
    from 0), to its largest value.

    Args:
        numbers: Type of number.
        low: Smallest value of the set.
        high: Largest value of the set.

    Returns:
        Values of black and of white; the first is smaller.
    """
    if numbers == "bits" or (low >= 0 and high <= 1 and numbers != "floats"):
        return 0, 1
    if numbers == "bytes" and low > 0 and high - low <= _NOISE:
        return BYTES
    usual = 1.0 if numbers == "floats" and high <= 1 + _TOLERANCE else 255.0
    tolerance = _TOLERANCE * usual
    if -tolerance <= low and _USED * usual <= high <= usual + tolerance:
        return 0, usual
    if low == high:
        return min(low, 0), max(high, 1)
    # 8-bit images keep their black.
    return (0, high) if numbers == "bytes" or 0 <= low <= high / 2 else (low, high)


def is_usual(numbers: Numbers, limits: Range) -> bool:
    """Return whether a range is usual for a type of number, so that it need not be reported."""
    return numbers == "bits" or limits == BYTES or (numbers == "floats" and limits == (0, 1))


def scaled(values: np.ndarray, limits: Range) -> np.ndarray:
    """Scale values linearly to bytes; values outside the range are clipped.

    Args:
        values: Array of numbers of any shape.
        limits: Values that become 0 and 255.

    Returns:
        Array of the same shape, uint8.
    """
    if values.dtype == np.uint8 and limits == BYTES:
        return values
    low, high = limits
    result = np.empty(values.shape, np.uint8)
    # In parts: the whole array in float64 would take eight times its memory.
    parts = max(1, values.size // _PART)
    for part, target in zip(
        np.array_split(values, parts), np.array_split(result, parts), strict=True
    ):
        floats = part.astype(np.result_type(part, np.float32), copy=False)
        target[...] = np.rint((floats - low) * (255.0 / (high - low))).clip(0, 255)
    return result
