"""Signs of a failed training that need no label, in plain words."""

import math
from collections.abc import Mapping

from iic.core.constants import Head


def diagnose(row: Mapping[str, float], clusters: Mapping[Head, int]) -> list[str]:
    """Say what is wrong with the clusters of an epoch; empty if nothing is.

    Args:
        row: the epoch's row of the history.
        clusters: number of outputs of each head.
    """
    findings = []
    for head in Head:
        k, used = clusters[head], int(row[f"{head}s_used"])
        if used == 1:
            findings.append(f"{head.full_name}: collapsed, all test images are in one cluster")
        elif used < k:
            findings.append(f"{head.full_name}: {k - used} of {k} clusters are empty")
        if row[f"{head}_mutual_information"] < 0.01 * math.log(k):
            findings.append(
                f"{head.full_name}: undecided, its output hardly depends on the image "
                "(train longer, or set model.normalize_logits to true)"
            )
    return findings
