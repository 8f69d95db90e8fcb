"""The network of iic/model/network.py in NumPy: no TensorFlow, which takes seconds to import.

It is for a few images; for thousands, TensorFlow is faster.
"""

from collections.abc import Mapping, Sequence
from itertools import pairwise

import numpy as np
from scipy.special import softmax

from iic.core.params import ModelParams
from iic.core.shapes import ImageShape, batch_size_of
from iic.model.assignments import Assignments
from iic.model.halvings import halvings

# Keras's default, which network.py uses.
_EPSILON = 1e-3


class NumpyNetwork:
    """A trained network that computes in NumPy.

    Attributes:
        params: Widths, numbers of clusters and the order of pooling.
        shape: Height, width and channels of the images.
    """

    def __init__(
        self, params: ModelParams, shape: ImageShape, layers: Mapping[str, Sequence[np.ndarray]]
    ) -> None:
        """Take the weights from a file that Keras has written.

        Args:
            params: Parameters of the network.
            shape: Height, width and channels of the images.
            layers: Arrays of each layer, by the name in the file: `conv2d`, `conv2d_1` and so on,
                `dense` and `batch_normalization`, in the order in which `build_network` makes them.

        Raises:
            ValueError: The arrays do not fit the parameters.
        """
        self.params, self.shape = params, shape
        norms = [_scale(*arrays) for arrays in _numbered(layers, "batch_normalization")]
        blocks, dense = len(params.widths), _numbered(layers, "dense")
        self._blocks = list(zip(_numbered(layers, "conv2d"), norms[:blocks], strict=True))
        # Keras saves the first layer of both heads, then the second of both, and so on.
        self._heads = dense[::2], dense[1::2]
        self._norms = norms[blocks:]
        self._check()

    def _check(self) -> None:
        """Raise ValueError unless the arrays have the shapes that the parameters ask for."""
        channels = self.shape[2]
        for ((kernel, bias), norm), width in zip(self._blocks, self.params.widths, strict=True):
            _expect((3, 3, channels, width), kernel)
            _expect((width,), bias, *norm)
            channels = width
        outputs = (self.params.clusters, self.params.overclusters)
        for layers, k in zip(self._heads, outputs, strict=True):
            sizes = [channels, *self.params.head_widths, k]
            for (kernel, bias), (before, width) in zip(layers, pairwise(sizes), strict=True):
                _expect((before, width), kernel)
                _expect((width,), bias)
        normalized = outputs if self.params.normalize_logits else ()
        for norm, k in zip(self._norms, normalized, strict=True):
            _expect((k,), *norm)

    def assign(self, images: np.ndarray) -> Assignments:
        """Compute the soft assignments of images (n, h, w) or (n, h, w, 3), uint8."""
        size = batch_size_of(self.shape)
        parts = [self._assign(images[i : i + size]) for i in range(0, len(images), size)]
        return Assignments(*(np.concatenate(head) for head in zip(*parts, strict=True)))

    def _assign(self, images: np.ndarray) -> Assignments:
        features = self._features(images)
        outputs = []
        for head, layers in enumerate(self._heads):
            x = features
            *hidden, (kernel, bias) = layers
            for weights, shift in hidden:
                x = np.maximum(x @ weights + shift, 0)
            x = x @ kernel + bias
            if self._norms:
                factor, shift = self._norms[head]
                x = x * factor + shift
            outputs.append(softmax(x, axis=1))
        return Assignments(*outputs)

    def _features(self, images: np.ndarray) -> np.ndarray:
        """Apply the backbone: (n, width) float32."""
        x = images.reshape(len(images), *self.shape).astype(np.float32) / np.float32(255)
        counts = halvings(self.params, self.shape[0])
        for ((kernel, bias), (factor, shift)), pools in zip(self._blocks, counts, strict=True):
            x = _convolve(x, kernel) + bias
            if self.params.pool_first:
                x = _pool(x, 2**pools)
            x = np.maximum(x * factor + shift, 0)
            if not self.params.pool_first:
                x = _pool(x, 2**pools)
        return x.mean(axis=(1, 2))


def _numbered(layers: Mapping[str, Sequence[np.ndarray]], kind: str) -> list[Sequence[np.ndarray]]:
    """Return the arrays of the layers `kind`, `kind_1` and so on."""
    names = [kind, *(f"{kind}_{number}" for number in range(1, len(layers)))]
    return [layers[name] for name in names if name in layers]


def _scale(
    gamma: np.ndarray, beta: np.ndarray, mean: np.ndarray, variance: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return factor and shift of a BatchNorm with its stored statistics."""
    factor = gamma / np.sqrt(variance + np.float32(_EPSILON))
    return factor, beta - mean * factor


def _expect(shape: tuple[int, ...], *arrays: np.ndarray) -> None:
    for array in arrays:
        if array.shape != shape:
            raise ValueError(f"an array has the shape {array.shape} instead of {shape}")


def _convolve(x: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    """Convolve images (n, h, w, c) with a kernel (3, 3, c, width); zeros around the images."""
    n, height, width, _ = x.shape
    padded = np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
    total = np.zeros((n, height, width, kernel.shape[3]), np.float32)
    for row, column in np.ndindex(3, 3):
        total += padded[:, row : row + height, column : column + width] @ kernel[row, column]
    return total


def _pool(x: np.ndarray, size: int) -> np.ndarray:
    """Take the maximum of each square of pixels; what does not fill a square is left out."""
    if size == 1:
        return x
    n, height, width, channels = x.shape
    rows, columns = height // size, width // size
    cut = x[:, : rows * size, : columns * size]
    return cut.reshape(n, rows, size, columns, size, channels).max(axis=(2, 4))
