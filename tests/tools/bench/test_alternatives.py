"""Other clustering methods: which there are, their scores, and a method that takes too long."""

import json
import os
import sys
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from conftest import ROOT, override, run

from iic.core.errors import InputError
from iic.core.files import write_arrays
from iic.pipeline.paths import IMAGES, LABELS
from tools.bench import alternatives, bench, peers, results
from tools.bench.results import read_benchmark, write_benchmark


def test_known_deep_clusterers_are_compared():
    deep = [name.removesuffix(" (ClustPy)") for name in alternatives.METHODS if "ClustPy" in name]
    assert deep == ["DEC", "IDEC", "IDEC with augmentation", "DCN", "N2D"]
    assert "UMAP + HDBSCAN" in alternatives.METHODS


@pytest.fixture
def kinds(tmp_path, monkeypatch, params_text):
    """Images in three shades of grey, 30 of each split, in a folder with three clusters."""
    monkeypatch.chdir(tmp_path)
    Path("params.yaml").write_text(override(params_text, {"model.clusters": 3}))
    found = np.arange(30) % 3
    images = np.broadcast_to((100 * found)[:, None, None], (30, 8, 8)).astype(np.uint8)
    write_arrays(IMAGES, {"train_images": images, "test_images": images})
    write_arrays(LABELS, {"test_labels": found, "names": np.array(["a", "b", "c"])})
    return found


def test_k_means_has_the_clusters_of_the_parameters(tmp_path, monkeypatch, params_text, capsys):
    """Dark, middle and bright images in colour, with two labels."""
    monkeypatch.chdir(tmp_path)
    Path("params.yaml").write_text(override(params_text, {"model.clusters": 3}))
    kind = np.arange(30) % 3
    images = np.broadcast_to((100 * kind)[:, None, None, None], (30, 4, 4, 3)).astype(np.uint8)
    write_arrays(IMAGES, {"train_images": images, "test_images": images})
    write_arrays(LABELS, {"test_labels": (kind > 0).astype(int), "names": np.array(["a", "b"])})
    alternatives.main(["k-means on pixels"])
    row = json.loads(capsys.readouterr().out)
    # One of the two clusters of b has no class: 20 of 30 images are right.
    assert row["acc"] == 0.6667
    assert 0.7 < row["nmi"] < 0.75
    write_arrays(LABELS, {"test_labels": np.empty(0, int), "names": np.empty(0, str)})
    with pytest.raises(InputError, match=r"labels\.npz: no labels of the test images"):
        alternatives.main(["k-means on pixels"])


def test_images_without_a_cluster_count_as_wrong(kinds, monkeypatch, capsys):
    method = alternatives.Method(lambda train, test, clusters: np.where(kinds == 1, -1, kinds))
    monkeypatch.setitem(alternatives.METHODS, "fake", method)
    alternatives.main(["fake"])
    row = json.loads(capsys.readouterr().out)
    assert (row["acc"], row["left_out"]) == (0.6667, 0.3333)
    assert {"nmi", "seconds", "peak_mb"} <= row.keys()


def test_new_places_get_the_cluster_of_the_nearest():
    labels = peers.nearest(
        np.array([[0.0], [1.0], [2.0]]), np.array([4, -1, 7]), np.array([[0.9], [5.0]])
    )
    assert labels.tolist() == [-1, 7]


def test_missing_package_is_named_before_any_work(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(alternatives, "find_spec", lambda name: None)
    with pytest.raises(InputError, match="^clustpy: not installed; `make bench` installs it$"):
        alternatives.main(["DEC (ClustPy)"])


def test_method_that_takes_too_long_has_its_limit_as_the_result(tmp_path, monkeypatch):
    """A module that sleeps stands for the methods; only the first ends."""
    (tmp_path / "fake.py").write_text(
        "import sys, time\nprint('a note\\n{}')\ntime.sleep(60 * (sys.argv[1] != 'quick'))\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setattr(bench, "METHODS", ["quick", "endless"])
    monkeypatch.setattr(bench, "LIMIT", 2)
    monkeypatch.setattr(results, "BENCHMARK", tmp_path / "benchmark.json")
    run_module = bench.run_module
    monkeypatch.setattr(
        bench, "run_module", lambda module, name, limit: run_module("fake", name, limit=limit)
    )
    monkeypatch.setattr(bench, "article_seconds", [100.0, 120.0, 90.0, 90.0].pop)
    *_, rows = bench.measure_alternatives()
    here = {"machine": bench.machine()}
    assert rows == {
        "quick": {"article_seconds": 90.0, **here},
        "endless": {"limit_seconds": 2, "article_seconds": 110.0, **here},
    }


def test_one_method_is_measured_alone_and_the_others_are_kept(tmp_path, monkeypatch):
    monkeypatch.setattr(results, "BENCHMARK", tmp_path / "benchmark.json")
    monkeypatch.setattr(bench, "run_module", lambda module, name, limit: f'{{"ran": "{name}"}}')
    monkeypatch.setattr(bench, "METHODS", {"a": None, "b": None, "c": None})
    monkeypatch.setattr(bench, "check_installed", list)
    monkeypatch.setattr(bench, "article_seconds", lambda: 60.0)
    other = {"machine": {"processor": "another"}}
    old = {"b": {"acc": 0.5, **other}, "c": {"acc": 0.6, **other}, "gone": {}}
    write_benchmark({**other, "alternatives": old, "scaling": {}})
    for name in "ba":
        bench.main(["--method", name])
    found = read_benchmark()
    beside = {"article_seconds": 60.0, "machine": bench.machine()}
    rows = {"a": {"ran": "a", **beside}, "b": {"ran": "b", **beside}, "c": old["c"]}
    # Each row has its machine; that of the other sections stays theirs.
    assert found == {**other, "alternatives": rows, "scaling": {}}
    assert list(found["alternatives"]) == list(rows)


def test_a_method_that_fails_does_not_end_the_others(tmp_path, monkeypatch):
    def run_module(module, name, limit):
        if name == "a":
            raise InputError("killed")
        return "{}"

    monkeypatch.setattr(results, "BENCHMARK", tmp_path / "benchmark.json")
    monkeypatch.setattr(bench, "run_module", run_module)
    monkeypatch.setattr(bench, "METHODS", ["a", "b"])
    monkeypatch.setattr(bench, "article_seconds", lambda: 60.0)
    with pytest.raises(InputError, match="^a: failed, see above; the others are stored$"):
        bench.store("alternatives", bench.measure_alternatives())
    rows = read_benchmark()["alternatives"]
    assert rows["a"]["failed"]
    assert "b" in rows


def test_deep_clusterers_have_the_settings_of_the_library(monkeypatch):
    class DEC:
        def __init__(self, clusters, **settings):
            assert (clusters, settings) == (3, {"device": "cpu", "random_state": 0})

        def fit(self, train):
            return self

        def predict(self, test):
            return test[:, 0]

    fake = ModuleType("clustpy.deep")
    fake.DEC = DEC
    package = ModuleType("clustpy")
    package.deep = fake
    monkeypatch.setitem(sys.modules, "clustpy", package)
    monkeypatch.setitem(sys.modules, "clustpy.deep", fake)
    images = np.arange(6).reshape(3, 2)
    assert alternatives.METHODS["DEC (ClustPy)"].assign(images, images, 3).tolist() == [0, 2, 4]


def test_libraries_are_loaded_in_an_order_in_which_they_do_not_crash(monkeypatch):
    loaded: list[str] = []
    monkeypatch.setattr(alternatives.importlib, "import_module", loaded.append)
    monkeypatch.setattr(alternatives, "find_spec", lambda name: name != "triton")
    alternatives.load_modules(alternatives.METHODS["UMAP + HDBSCAN"])
    assert loaded == ["torch", "umap"]
    # The memory of a method without either does not contain them.
    loaded.clear()
    alternatives.load_modules(alternatives.METHODS["k-means on pixels"])
    assert loaded == []


@pytest.mark.long
@pytest.mark.parametrize("name", [name for name in alternatives.METHODS if "ClustPy" in name])
def test_deep_clusterer_assigns_every_test_image(kinds, name):
    """Two epochs; the settings of the benchmark take up to an hour."""
    if find_spec("clustpy") is None:
        pytest.skip("needs ClustPy: `make bench` installs it")
    few = {"pretrain_epochs": 2} | ({} if "N2D" in name else {"clustering_epochs": 2})
    code = (
        "from tools.bench import alternatives, peers;"
        f"peers.SETTINGS |= {few}; alternatives.main([{name!r}])"
    )
    # Torchvision crashes in a process that has loaded TensorFlow, as this one has.
    done = run(sys.executable, "-c", code, cwd=Path(), env={**os.environ, "PYTHONPATH": str(ROOT)})
    row = json.loads(done.stdout.splitlines()[-1])
    assert row["left_out"] == 0
    assert 0 < row["acc"] <= 1


@pytest.mark.long
@pytest.mark.parametrize(
    "name", [name for name, method in alternatives.METHODS.items() if "umap" in method.modules]
)
def test_umap_loads_beside_pytorch_and_its_compiler(name):
    try:
        alternatives.check_installed([name])
    except InputError as error:
        # UMAP and ClustPy are for the benchmark only; the message says which is missing.
        pytest.skip(str(error))
    code = f"from tools.bench.alternatives import *; load_modules(METHODS[{name!r}])"
    run(sys.executable, "-c", code, cwd=ROOT)
