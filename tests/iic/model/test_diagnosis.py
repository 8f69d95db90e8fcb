import pytest

from iic.core.constants import Head
from iic.model.diagnosis import diagnose

SIZES = {Head.CLUSTER: 10, Head.OVERCLUSTER: 50}


def row(**values: float) -> dict[str, float]:
    healthy = {
        "clusters_used": 10,
        "overclusters_used": 50,
        "cluster_mutual_information": 2.0,
        "overcluster_mutual_information": 3.0,
    }
    return healthy | values


@pytest.mark.parametrize(
    ("values", "findings"),
    [
        ({}, []),
        ({"clusters_used": 1}, ["clustering head: collapsed, all test images are in one cluster"]),
        ({"overclusters_used": 48}, ["overclustering head: 2 of 50 clusters are empty"]),
        (
            {"cluster_mutual_information": 1e-4},
            ["clustering head: undecided, its output hardly depends on the image (train longer)"],
        ),
        (
            {"clusters_used": 9, "overclusters_used": 1},
            ["clustering head: 1 of 10 clusters are empty",
             "overclustering head: collapsed, all test images are in one cluster"],
        ),
    ],
)  # fmt: skip
def test_findings_of_a_failed_training(values, findings):
    assert diagnose(row(**values), SIZES, normalizes_logits=True) == findings


def test_a_setting_is_advised_only_if_it_is_not_set():
    (finding,) = diagnose(row(cluster_mutual_information=0), SIZES, normalizes_logits=False)
    assert finding.endswith("(train longer, or set model.normalize_logits to true)")
