"""Checks before a training, and of its result, which need no labels."""

from collections.abc import Mapping

import numpy as np

from iic.core.params import ModelParams, Params
from iic.model.diagnosis import diagnose
from iic.pairs.copies import check_enough, find_distinct
from iic.pairs.schedule import warn_of_few_steps


def check_images(images: np.ndarray, params: Params) -> list[str]:
    """Check that a training on these images can form the clusters.

    Args:
        images: (n, 28, 28) uint8 training images.
        params: Parameters of the run.

    Returns:
        Warnings, such as of too few steps.

    Raises:
        InputError: All images are the same, or there are fewer different ones than clusters.
    """
    check_enough(find_distinct(images), params.model.clusters)
    few = warn_of_few_steps(len(images), params.train)
    return [few] if few else []


def check_result(last: Mapping[str, float], model: ModelParams) -> list[str]:
    """Return warnings about the clusters that a training has formed.

    Args:
        last: Row of the last epoch in the history.
        model: Parameters of the network.
    """
    return diagnose(last, model.head_sizes, normalizes_logits=model.normalize_logits)
