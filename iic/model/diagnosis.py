"""Label-free signs of a failed training, put into words."""

import math
from collections.abc import Mapping

from iic.core.constants import Head


def diagnose(
    row: Mapping[str, float], clusters: Mapping[Head, int], *, normalizes_logits: bool
) -> list[str]:
    """Describe what is wrong with the clusters after an epoch.

    A head is collapsed if it puts all test images into one cluster, and undecided if its mutual
    information is below 1 % of ln k, the largest possible.

    Args:
        row: Row of the epoch in the history.
        clusters: Number of outputs of each head.
        normalizes_logits: Value of `model.normalize_logits`, which is not advised if it is set.

    Returns:
        A sentence per finding; empty if there is none.
    """
    advice = f"train longer{'' if normalizes_logits else ', or set model.normalize_logits to true'}"
    findings = []
    for head in Head:
        k, used = clusters[head], int(row[f"{head}s_used"])
        if used == 1:
            findings.append(f"{head.full_name}: collapsed, all test images are in one cluster")
        elif used < k:
            findings.append(f"{head.full_name}: {k - used} of {k} clusters are empty")
        if row[f"{head}_mutual_information"] < 0.01 * math.log(k):
            findings.append(
                f"{head.full_name}: undecided, its output hardly depends on the image ({advice})"
            )
    return findings
