"""The benchmark's own arithmetic; no test asserts how fast anything is."""

import json
import time

import keras
import numpy as np
import pytest
from conftest import ROOT

from benchmarks import bench, readme, results, scaling
from benchmarks.alternatives import k_means
from benchmarks.results import read_benchmark, store_section
from benchmarks.steps import useful_flops
from benchmarks.timing import take_turns
from iic.errors import InputError
from iic.model import build_network


def test_everything_takes_turns_and_short_work_runs_often(monkeypatch):
    clock, order = [0.0], []

    def work(name: str, seconds: list[float]):
        def call() -> None:
            order.append(name)
            clock[0] += seconds[min(len(seconds) - 1, order.count(name) - 1)]

        return call

    monkeypatch.setattr(time, "perf_counter", lambda: clock[0])
    # The first call warms up and the second says how many fit into a turn: both are untimed.
    works = {"slow": work("slow", [9.0, 2.0, 2.0, 3.0, 7.0]), "quick": work("quick", [5.0, 0.25])}
    medians = take_turns(works, rounds=3, slot=1.0)
    assert medians == {"slow": 3.0, "quick": 0.25}
    turns = ["slow", *["quick"] * 4] * 3
    assert order == ["slow", "slow", "quick", "quick", *turns]


def test_useful_operations_by_hand(tiny_params):
    params = tiny_params.model.model_copy(
        update={"widths": [4, 8], "head_widths": [16], "clusters": 10, "overclusters": 20}
    )
    convolutions = 28 * 28 * 9 * 1 * 4 + 14 * 14 * 9 * 4 * 8
    heads = 2 * 8 * 16 + 16 * 10 + 16 * 20
    # Two views, forward and twice backward, a multiplication and an addition.
    assert useful_flops(build_network(params)) == 2 * 3 * 2 * (convolutions + heads)


def test_the_article_needs_what_its_layers_say(params):
    """10.1 million multiply-adds a view, 121 MFLOP a pair."""
    assert useful_flops(build_network(params.model)) == pytest.approx(121e6, rel=0.02)


@pytest.fixture
def file(tmp_path, monkeypatch):
    path = tmp_path / "benchmark.json"
    monkeypatch.setattr(results, "BENCHMARK", path)
    return path


def test_sections_are_kept_in_order_when_one_is_measured_again(file):
    assert read_benchmark() == {}
    store_section("b", {"x": 1}, order=["a", "b"])
    store_section("a", {"y": 2}, order=["a", "b"])
    store_section("b", {"x": 3}, order=["a", "b"])
    assert list(json.loads(file.read_text())) == ["a", "b"]
    assert read_benchmark() == {"a": {"y": 2}, "b": {"x": 3}}


def test_an_unknown_section_names_the_known_ones(monkeypatch):
    monkeypatch.chdir(ROOT)
    with pytest.raises(InputError, match="stpes: no such section .*machine, steps, pipeline"):
        bench.main(["stpes"])


def test_the_machine_is_told_without_its_name_or_a_date():
    machine = bench.measure_machine()
    assert machine["cores"] >= 1
    assert machine["keras"] == keras.__version__
    assert not {"host", "hostname", "date", "time"} & set(machine)


def test_what_is_changed_for_the_scaling_is_what_the_panel_says(params):
    changes = scaling.variants(params)
    assert changes["overclusters 300"].model.overclusters == 300
    assert changes["width 0.5"].model.widths == [w // 2 for w in params.model.widths]
    assert changes["head_layers 3"].model.head_widths == [128] * 3
    for changed in changes.values():
        assert changed.model_copy(update={"model": params.model}) == params


def test_tables_of_the_readme(file):
    file.write_text(
        json.dumps(
            {
                "steps": {
                    "recipes": {
                        "article": {"seconds_per_step": 1.1, "pairs_per_second": 909,
                                    "share_of_float32_peak": 0.53},
                        "fast": {"seconds_per_step": 0.06, "pairs_per_second": 4166,
                                 "share_of_float32_peak": 0.6},
                    }
                },
                "pipeline": {
                    "trainings": {
                        "fast": {"seconds": 70.2, "times_faster_than_the_article": 94.0,
                                 "peak_mb": 1234, "acc": 0.9862},
                    }
                },
                "alternatives": {"k-means": {"acc": 0.54, "seconds": 12.3, "peak_mb": 800}},
            }
        )
    )  # fmt: skip
    assert readme.speed().splitlines()[2:] == [
        "| `article` | 6600 s, from its step | 1 | 909 | 53 % |  |",
        "| `fast` | 70 s | 1/94 | 4,166 | 60 % | 1,234 MB |",
    ]
    assert readme.methods().splitlines()[2:] == [
        "| k-means | 54.00 % | 12 s | 800 MB |",
        "| IIC, `fast` | 98.62 % | 70 s | 1,234 MB |",
    ]


def test_k_means_assigns_each_test_image_to_one_of_ten_clusters(digits):
    train, test = (
        images.reshape(len(images), -1) / 255
        for images in (digits.train_images, digits.test_images)
    )
    assigned = k_means(train, test)
    assert assigned.shape == (len(test),)
    assert set(np.unique(assigned)) <= set(range(10))
