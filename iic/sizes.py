"""How large a network is, told from its settings before any of it is built."""

from itertools import pairwise

from iic.params import ModelParams

# Of a model's settings as JSON; more are none.
MODEL_BYTES = 1 << 20


def count_parameters(params: ModelParams) -> int:
    """Number of weights of a network: kernels and biases, and four a channel for each norm."""
    total, channels = 0, 1
    for width in params.widths:
        total += 9 * channels * width + width + 4 * width
        channels = width
    for k in (params.clusters, params.overclusters):
        sizes = [channels, *params.head_widths, k]
        total += sum(before * after + after for before, after in pairwise(sizes))
        total += 4 * k if params.normalize_logits else 0
    return total
