"""Determinism under conditions: what is compared and kept, and the tables made of it."""

import json
import os
import shutil
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import matplotlib
import numpy as np
import pytest
import yaml
from conftest import ROOT, environment

from iic.core.errors import InputError
from iic.core.files import write_table
from iic.core.machine import instructions
from iic.core.params import Params
from iic.data.datasets import COLLECTIONS, IdxFile
from iic.evaluation.paths import METRICS, PREDICTIONS
from iic.pipeline.costs import COSTS
from stages import report
from tools.determinism import measure as determinism
from tools.determinism import operations
from tools.determinism.conditions import CONDITIONS, LEVELS, Condition, Level
from tools.docs import reproducibility

FILES = ["data/images.npz", "model", str(METRICS), str(PREDICTIONS)]


def finish(folder: Path, clusters: list[int], acc: float = 0.5, weights: bytes = b"w") -> Path:
    """Write the files of a finished run that are compared."""
    for name in ("data", "model", "reports"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    (folder / "data/images.npz").write_bytes(b"images")
    (folder / "model/weights").write_bytes(weights)
    metrics = {"acc": acc, "nmi": 0.25, "loss": -1.0, "ari": acc}
    (folder / METRICS).write_text(json.dumps(metrics))
    columns = {"label": ["a"] * len(clusters), "predicted": ["a"] * len(clusters)}
    write_table(folder / PREDICTIONS, columns | {"cluster": clusters})
    (folder.parent / "costs").write_text("augment 0.1 99\ntrain 12.34 900\n")
    return folder


def test_all_declared_outputs_are_compared():
    stages = yaml.safe_load((ROOT / "dvc.yaml").read_text("utf-8"))["stages"]
    found = determinism.declared_outputs(ROOT / "dvc.yaml")
    assert {"model", "reports/metrics.json", "reports/accuracy.csv", "reports/figures"} <= set(
        found
    )
    assert found[0] == "data/source.json"
    kinds = ("outs", "metrics", "plots")
    count = sum(len(stage.get(kind, [])) for stage in stages.values() for kind in kinds)
    assert len(found) == len(set(found)) == count


def test_one_different_byte_is_a_difference(tmp_path):
    reference = finish(tmp_path / "a/x", [0, 1, 2])
    same = determinism.difference(reference, finish(tmp_path / "b/y", [0, 1, 2]), FILES)
    assert same["outcome"] == "same"
    assert same["digest"] == determinism.digest_of_all(determinism.digests(reference, FILES))
    # The clusters have other numbers, one image lies elsewhere, and accuracy has moved.
    other = finish(tmp_path / "c/z", [1, 2, 2], acc=0.75, weights=b"v")
    found = determinism.difference(reference, other, FILES)
    assert found.pop("digest") != same["digest"]
    assert found == {
        "outcome": "others",
        "differs": FILES[1:],
        "moved": {"acc": 0.25, "nmi": 0.0, "loss": 0.0},
        "changed": 1,
        "images": 3,
        "train_seconds": 12.3,
    }


def test_a_file_in_a_folder_counts_by_name_and_content(tmp_path):
    def digest() -> str:
        return determinism.digests(tmp_path, ["model"])["model"]

    seen = set()
    folder = tmp_path / "model"
    folder.mkdir()
    seen.add(digest())
    (folder / "a").write_bytes(b"x")
    seen.add(digest())
    (folder / "a").rename(folder / "b")
    seen.add(digest())
    (folder / "b").write_bytes(b"y")
    seen.add(digest())
    (folder / "c").write_bytes(b"")
    seen.add(digest())
    assert len(seen) == 5


@pytest.mark.parametrize(
    ("first", "second", "changed"),
    [
        ([0, 0, 1, 2], [0, 0, 1, 2], 0),
        ([0, 0, 1, 2], [2, 2, 0, 1], 0),
        ([0, 0, 1, 2], [2, 2, 0, 0], 1),
        ([0, 0, 0, 0], [9, 9, 9, 3], 1),
        ([0, 1, 2, 3], [5, 5, 5, 5], 3),
    ],
)
def test_changed_clusters_do_not_depend_on_their_numbers(first, second, changed):
    assert determinism.changed_clusters(np.array(first), np.array(second)) == (changed, 4)


def test_conditions_that_cannot_be_tried_have_a_reason(monkeypatch):
    def why(condition: Condition, **machine: object) -> str:
        known = {"known": {"avx2"}, "cores": 1, "pythons": {"3.12": "/p"}} | machine
        return determinism.why_not(condition, **known)

    assert why(Condition("")) == ""
    amx = Condition("", needs=("avx2", "amx_tile"), cores=2)
    assert why(amx) == "a processor without avx2, amx_tile, fewer than 2 cores"
    assert why(amx, known={"avx2", "amx_tile", "x"}, cores=2) == ""
    assert why(Condition("", python="3.12")) == ""
    assert why(Condition("", python="3.13")) == "no Python 3.13 was named (`--python`)"
    assert why(Condition("", command=(sys.executable, "x"))) == ""
    assert why(Condition("", command=("no-such-tool", "x"))) == "no `no-such-tool`"
    monkeypatch.setenv("PATH", "")
    assert why(Condition("", locale="tr_TR")) == "no `localedef`"


def test_conditions_set_only_their_own_variables(monkeypatch):
    monkeypatch.setenv("TF_NUM_INTRAOP_THREADS", "7")
    monkeypatch.setenv("HOME", "/home/mine")
    monkeypatch.setenv("OTHER", "kept")
    plain = determinism.environment(Path("/top"), Condition(""))
    assert "TF_NUM_INTRAOP_THREADS" not in plain
    assert (plain["HOME"], plain["OTHER"]) == ("/home/mine", "kept")
    assert plain["PYTHONPATH"] == "/top/clone"
    for condition in CONDITIONS.values():
        mine = determinism.environment(Path("/top"), condition)
        changed = {key for key in plain | mine if plain.get(key) != mine.get(key)}
        where = {"PYTHONPATH"} if condition.folder != "clone" else set()
        assert changed <= {*condition.variables, *where}
        assert set(condition.variables) - set(mine) == set()
    home = determinism.environment(Path("/top"), CONDITIONS["home"])["HOME"]
    assert home == "/top/home"


def test_levels_name_conditions_and_recipes_that_exist():
    for level in LEVELS.values():
        assert set(level.conditions) <= set(CONDITIONS)
        assert level.recipe == "default" or (ROOT / f"recipes/{level.recipe}.yaml").is_file()
    assert set(LEVELS["digits"].conditions) == set(CONDITIONS)
    assert {"again", "threads-1", "avx2", "two-at-once"} <= set(LEVELS["mnist"].conditions)


def test_switches_for_avx2_take_effect():
    """A switch without effect would give the same bytes too."""
    code = (
        "import scipy.linalg, threadpoolctl, numpy as np;"
        "print({i.get('architecture') for i in threadpoolctl.threadpool_info()},"
        "np.show_config(mode='dicts')['SIMD Extensions'].get('found'))"
    )
    if "avx512f" not in instructions():
        pytest.skip("needs AVX-512")
    mine = determinism.environment(Path("/top"), CONDITIONS["avx2"])
    done = subprocess.run([sys.executable, "-c", code], env=mine, capture_output=True, text=True)
    assert done.stdout.strip() == "{'Haswell'} ['X86_V3']", done.stderr


def test_operations_give_the_same_bytes_twice():
    found = operations.digests()
    assert found == operations.digests()
    assert len(set(found.values())) == len(found) > 10


def test_settings_of_the_user_for_keras_are_ignored(tmp_path):
    (tmp_path / "keras.json").write_text(
        CONDITIONS["keras-settings"].files["keras/keras.json"], "utf-8"
    )
    code = (
        "from iic.training.learner import JointMatrix; from iic.model.network import build_network;"
        "from iic.core.params import parse_params; from pathlib import Path;"
        "network = build_network(parse_params(Path('params.yaml').read_text(), 'p').model);"
        "joint = JointMatrix(2, 'j').result();"
        "print(network.input.dtype, network.layers[1].data_format, joint.dtype.name)"
    )
    env = environment() | {"KERAS_HOME": str(tmp_path), "PYTHONPATH": "."}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=env, capture_output=True, text=True
    )
    assert done.stdout.strip() == "float32 channels_last float32", done.stderr


def test_settings_of_the_user_for_matplotlib_are_ignored(monkeypatch, params):
    def stop(_: Path):
        raise InputError(f"letters of {matplotlib.rcParams['font.size']}")

    monkeypatch.setattr(report.ModelCard, "read", stop)
    with (
        matplotlib.rc_context({"font.size": 20}),
        pytest.raises(InputError, match=f"letters of {matplotlib.rcParamsDefault['font.size']}"),
    ):
        report.main(params)


@pytest.fixture
def tiny_level(monkeypatch, tmp_path):
    """Four conditions on invented runs; the queue holds their clusters, or a failure."""
    monkeypatch.chdir(ROOT)
    results = tmp_path / "determinism.json"
    names = ("again", "threads-1", "python-3.13", "nice")
    level = Level("tiny", "tour", {"train": {"epochs": 8}}, names)
    for module in (determinism, reproducibility):
        monkeypatch.setattr(module, "LEVELS", {"mnist": level})
    monkeypatch.setattr(determinism, "DETERMINISM", results)
    monkeypatch.setattr(determinism, "_THIS_PYTHON", "3.11")
    monkeypatch.setattr(determinism, "declared_outputs", lambda path: FILES)
    monkeypatch.setattr(determinism, "copy_code", lambda folder: None)
    queue: list[list[int] | str] = []
    numbers = iter(range(100))

    @contextmanager
    def finished_runs(code: Path, params: Params, condition: Condition, python: str = ""):
        assert params.train.epochs == 8
        todo = queue.pop(0)
        if isinstance(todo, str):
            raise InputError(todo)
        yield [finish(tmp_path / f"{next(numbers)}/run", todo)]

    monkeypatch.setattr(determinism, "finished_runs", finished_runs)
    return queue, results


def outcomes(results: Path) -> dict[str, str]:
    rows = json.loads(results.read_text("utf-8"))["mnist"]["conditions"]
    return {name: row["outcome"] for name, row in rows.items()}


def test_only_missing_conditions_are_run(tiny_level):
    queue, results = tiny_level
    queue += [[0, 1], [0, 1], [0, 0], "train: exit status 1"]
    determinism.main([])
    expected = {"again": "same", "threads-1": "others", "python-3.13": "not tried"}
    assert outcomes(results) == expected | {"nice": "failed"}
    determinism.main([])  # Nothing is missing, so not even the reference is run.
    queue += [[0, 1], [0, 1], [0, 1]]
    determinism.main(["threads-1", "nice", "--data", "mnist"])
    assert outcomes(results) == expected | {"threads-1": "same", "nice": "same"}
    assert queue == []


def test_machines_with_the_same_bytes_are_kept(tiny_level, monkeypatch):
    queue, results = tiny_level
    for number in (1, 2, 1, 3):
        monkeypatch.setattr(determinism, "machine", lambda n=number: {"processor": f"P{n}"})
        # The last reference has different bytes.
        queue += [[0, 1] if number < 3 else [1, 1]] * 2
        determinism.main(["again"])
        if number == 2:
            page = reproducibility.conditions()
    assert "\n- tiny: P1; P2\n" in page
    found = json.loads(results.read_text("utf-8"))["mnist"]["reference"]["machines"]
    assert found == [{"processor": "P3"}]


def test_rows_of_another_reference_are_dropped(tiny_level, capsys):
    queue, results = tiny_level
    queue += [[0, 1], [0, 1], [0, 0], [0, 1]]
    determinism.main([])
    queue += [[1, 1], [1, 1]]
    determinism.main(["again"])
    assert outcomes(results) == {"again": "same"}
    assert "the reference has other bytes than before" in capsys.readouterr().err


def test_the_worse_of_two_runs_at_once_counts(tiny_level, monkeypatch, tmp_path):
    @contextmanager
    def two(*_: object):
        yield [finish(tmp_path / "x/run", [0, 1]), finish(tmp_path / "y/run", [0, 0])]

    monkeypatch.setattr(determinism, "finished_runs", two)
    params = determinism.recipe_params("tour")
    reference = finish(tmp_path / "z/run", [0, 1])
    row = determinism._row("two-at-once", tmp_path, params, reference, {})
    assert (row["outcome"], row["train_seconds"]) == ("others", 12.3)


def test_interpreter_with_other_packages_is_refused(tmp_path):
    version, path = determinism.versions_of(sys.executable)
    assert (version, path) == (".".join(map(str, sys.version_info[:2])), sys.executable)
    other = tmp_path / "python"
    other.write_text("#!/bin/sh\necho 3.13\necho numpy 1.0\n")
    other.chmod(0o755)
    with pytest.raises(InputError, match=r"numpy 1\.0.*install the same requirements"):
        determinism.versions_of(str(other))
    with pytest.raises(InputError, match="no Python with the packages"):
        determinism.versions_of(str(tmp_path / "none"))
    with pytest.raises(InputError, match="agian: no such condition"):
        determinism.main(["agian"])


def test_data_are_downloaded_once(monkeypatch, tmp_path, params):
    asked = []

    def fetch(collection, origins):
        asked.append(origins[0].read(collection.files["test_labels"]))

    def read(file: IdxFile) -> bytes:
        return file.name.encode()

    monkeypatch.setattr(determinism, "fetch", fetch)
    origin = determinism.Origin("mirror", read)
    monkeypatch.setattr(determinism, "origins_of", lambda collection, local: [origin])
    kept = determinism.keep_data(params, tmp_path)
    assert kept == params.with_values(data={"local_dir": str(tmp_path)})
    name = COLLECTIONS["mnist"].files["test_labels"].name
    assert (tmp_path / name).read_bytes() == name.encode() == asked[0]
    offline = params.with_values(data={"name": "digits"})
    assert determinism.keep_data(offline, tmp_path) == offline


def test_tables_show_sets_of_bytes_as_letters(tiny_level):
    queue, _ = tiny_level
    assert "Not run yet" in reproducibility.conditions()
    assert "Not run yet" in reproducibility.moves()
    assert "Not run yet" in reproducibility.costs()
    queue += [[0, 1], [0, 1], [0, 0], [0, 0]]
    determinism.main([])
    table = reproducibility.conditions().splitlines()
    assert table[0] == "| what differs | how | tiny |"
    assert "| nothing, run once more |  | A |" in table
    assert "| one thread | the three variables = 1 | **B** |" in table
    assert "- Python 3.13: no Python 3.13 was named (`--python`)" in table
    assert not any(line.startswith("- Python 3.11") for line in table)
    assert any(line.startswith("- macOS: ") for line in table)
    found = [line for line in reproducibility.moves().splitlines() if line.startswith("| tiny")]
    assert found == [
        f"| tiny | B | one thread; a low priority | `{PREDICTIONS}` "
        "| 0.00 | 0.0000 | 0.0000 | 1 of 2 |"
    ]
    assert "| nothing, run once more | 1.00 |" in reproducibility.costs()


def test_bytes_that_move_accuracy_further_than_seeds_are_named(monkeypatch):
    rows = {"0": {"acc": "0.98"}, "1": {"acc": "0.99"}}
    monkeypatch.setattr(reproducibility, "rows_of", lambda recipe: rows)

    def row(digest: str, acc: float) -> dict[str, object]:
        moved = {"acc": acc, "nmi": 0.0, "loss": 0.0}
        return {
            "outcome": "others", "digest": digest, "differs": ["model"],
            "moved": moved, "changed": 1, "images": 2,
        }  # fmt: skip

    level = {
        "reference": {"digest": "a"},
        "conditions": {
            "again": {"outcome": "same", "digest": "a"},
            "threads-1": row("b", 0.009),
            "avx2": row("c", 0.0125),
        },
    }
    monkeypatch.setattr(reproducibility, "read_results", lambda: {"mnist": level})
    said = reproducibility.moves().splitlines()[-1]
    assert said.endswith(
        "between 98.00 % and 99.00 %, 1.00 points apart. One run each moved it further: C by 1.25."
    )
    level["conditions"].pop("avx2")
    assert reproducibility.moves().endswith("1.00 points apart.")


@pytest.mark.long
def test_surroundings_change_no_byte_of_the_first_stages(monkeypatch, tmp_path, params):
    """Run with a Turkish locale on a terminal, another time zone, path, home and umask."""
    if shutil.which("localedef") is None:
        pytest.skip("needs `localedef` (apt-get install locales)")
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr(determinism, "STAGES", ("download", "augment"))
    monkeypatch.setenv("TF_CPP_MIN_LOG_LEVEL", "3")
    code = tmp_path / "code"
    determinism.copy_code(code)
    offline = params.with_values(data={"name": "digits"}, augment={"views": 2})
    files = ["data/images.npz", "data/labels.npz", "data/draws.npz"]
    with determinism.finished_runs(code, offline, Condition("")) as (reference,):
        expected = determinism.digests(reference, files)
    with determinism.finished_runs(code, offline, CONDITIONS["surroundings"]) as (folder,):
        assert determinism.digests(folder, files) == expected
        mode = (folder / files[0]).stat().st_mode & 0o777
        assert mode == 0o600
        assert (folder.parent / "locale/tr_TR.UTF-8/LC_CTYPE").is_file()
    assert COSTS not in os.environ


def test_failed_stage_is_named_with_its_message(monkeypatch, tmp_path, params):
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr(determinism, "STAGES", ("augment",))
    code = tmp_path / "code"
    determinism.copy_code(code)
    with (
        pytest.raises(InputError, match=r"augment: exit status 1: error: data/images\.npz"),
        determinism.finished_runs(code, params, Condition("")),
    ):
        pass
