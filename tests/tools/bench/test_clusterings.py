"""IIC beside clusterers of scikit-learn: scores, the file of measurements and its table."""

import json

import numpy as np
import pytest

from iic.core.errors import InputError
from tools.bench import clusterings
from tools.docs import clusterings as page

LABELS = np.repeat(np.arange(10), 4)


@pytest.fixture
def file(tmp_path, monkeypatch):
    path = tmp_path / "clusterings.json"
    monkeypatch.setattr(clusterings, "CLUSTERINGS", path)
    return path


def test_scores_ignore_the_numbers_of_clusters():
    found = clusterings.scores(LABELS, 9 - LABELS)
    assert found == {"acc": 1.0, "nmi": 1.0, "ari": 1.0, "clusters": 10, "left_out": 0.0}


def test_images_left_out_count_as_wrong_and_are_one_cluster_more():
    labels = np.where(LABELS == 3, -1, LABELS)
    found = clusterings.scores(LABELS, labels)
    assert (found["acc"], found["left_out"], found["clusters"]) == (0.9, 0.1, 9)
    # As a group of its own, the digit that is left out is still one group.
    assert found["nmi"] == 1.0


def test_surplus_clusters_count_as_wrong():
    labels = np.where(np.arange(40) % 2, LABELS, LABELS + 10)
    found = clusterings.scores(LABELS, labels)
    assert (found["acc"], found["clusters"]) == (0.5, 20)


def test_without_any_cluster_the_accuracy_is_zero():
    found = clusterings.scores(LABELS, np.full(40, -1))
    assert (found["acc"], found["clusters"], found["left_out"]) == (0.0, 0, 1.0)


def test_measurement_continues_after_the_finished_seeds(file, monkeypatch):
    called = []

    def labels_of(images, seed):
        assert images.max() == 1.0
        called.append(seed)
        if seed == 4 and called.count(4) == 1:
            raise KeyboardInterrupt
        return np.zeros(len(images), int)

    method = clusterings.Method("A", "a()", labels_of)
    monkeypatch.setattr(clusterings, "METHODS", {"a": method})
    monkeypatch.setattr(clusterings, "SEEDS", range(5))
    monkeypatch.setattr(clusterings, "_warm_up", lambda: None)
    with pytest.raises(KeyboardInterrupt):
        clusterings.main([])
    clusterings.main([])
    assert called == [0, 1, 2, 3, 4, 4]
    runs = json.loads(file.read_text())["runs"]["a"]
    assert list(runs) == ["0", "1", "2", "3", "4"]
    assert runs["0"]["clusters"] == 1
    with pytest.raises(InputError, match="takes no argument"):
        clusterings.main(["x"])


def row(acc: float, seconds: float, clusters: int = 10) -> dict[str, float]:
    rest = {"nmi": 0.5, "ari": 0.25, "clusters": clusters, "left_out": 0.125}
    return {"acc": acc, **rest, "cpu_seconds": seconds}


def test_table_has_means_over_the_seeds_that_all_methods_have(file):
    runs = {name: {"0": row(0.5, 4.0), "1": row(0.75, 4.0)} for name in clusterings.METHODS}
    runs["hdbscan"] = {"0": row(0.5, 2.0, 7), "1": row(0.5, 2.0, 9), "2": row(0.9, 900.0)}
    file.write_text(json.dumps({"runs": runs}))
    lines = page.clusterings().splitlines()
    assert lines[2].startswith("| KMeans | 62.5 ± 17.7 % | 0.5000 ± 0.0000 | 0.2500 ± 0.0000 |")
    assert "| 50.0 ± 0.0 % |" in lines[4]
    assert lines[4].endswith("| 7 to 9 | 12.5 % | 0.5 × |")
    assert lines[-1] == "Mean ± standard deviation over 2 seeds."


def test_page_says_how_to_measure_what_is_missing(file):
    assert page.clusterings() == "Not measured yet: `python -m tools.bench.clusterings`."


def test_calls_on_the_page_are_the_code_that_is_measured(monkeypatch):
    """The call of each method gives the labels of its function, with the costly classes faked."""
    compile(page.calls().removeprefix("```python").removesuffix("```"), "page", "exec")
    images = np.random.default_rng(0).random((60, 64))
    used = vars(clusterings)

    class Fixed:
        def __init__(self, **arguments):
            self.arguments = arguments

        def fit_predict(self, images):
            return np.array(sorted(map(str, self.arguments.items())))

        def fit_transform(self, images):
            return images[:, :2]

    monkeypatch.setattr(clusterings, "IIC", Fixed)
    monkeypatch.setattr(clusterings, "TSNE", Fixed)
    for method in clusterings.METHODS.values():
        shown = eval(method.code, dict(used), {"images": images})  # noqa: S307 - our own text
        np.testing.assert_array_equal(shown, method.labels_of(images, 0))
