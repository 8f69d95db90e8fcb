"""What the trunk has learned of each image, beside the clusters that the heads make of it."""

import keras
import numpy as np
import tensorflow as tf

from iic.model import Assignments, as_input


def embed(
    network: keras.Model, images: np.ndarray, batch_size: int = 500
) -> tuple[np.ndarray, Assignments]:
    """Features and soft assignments of images in one pass, in batches that bound the memory.

    Args:
        network: one of iic.model, whose trunk ends in the layer "features".
        images: (n, 28, 28) uint8.
        batch_size: images at a time.

    Returns:
        (n, width) float32 features, and the assignments.
    """
    both = keras.Model(network.input, [network.get_layer("features").output, *network.outputs])
    batches = tf.data.Dataset.from_tensor_slices(images).batch(batch_size).map(as_input)
    features, cluster, overcluster = both.predict(batches, verbose=0)
    return features, Assignments(cluster, overcluster)
