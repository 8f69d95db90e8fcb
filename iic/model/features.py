"""What the trunk has learned of each image, beside the clusters that the heads make of it."""

import keras
import numpy as np

from iic.model.assignments import Assignments
from iic.model.network import outputs_of


def embed(
    network: keras.Model, images: np.ndarray, batch_size: int = 500
) -> tuple[np.ndarray, Assignments]:
    """Features and soft assignments of images in one pass, in batches that bound the memory.

    Args:
        network: one of iic.model.network, whose trunk ends in the layer "features".
        images: (n, 28, 28) uint8.
        batch_size: images at a time.

    Returns:
        (n, width) float32 features, and the assignments.
    """
    both = keras.Model(network.input, [network.get_layer("features").output, *network.outputs])
    features, cluster, overcluster = outputs_of(both, images, batch_size)
    return features, Assignments(cluster, overcluster)
