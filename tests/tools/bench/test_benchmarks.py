"""Arithmetic and texts of the benchmark; no test asserts a speed."""

import json
import shutil
import subprocess
import sys
import time
from pathlib import Path

import keras
import numpy as np
import pytest
import yaml
from conftest import ROOT, run

from iic.cli.main import main
from iic.core.errors import InputError
from iic.core.params import parse_params
from iic.evaluation.paths import METRICS
from iic.experiments.recipes import recipe_params
from iic.experiments.sweep import cluster
from iic.experiments.sweep.task import SHARED_STAGES, Checkout, Outcome
from iic.model.network import build_network
from iic.pipeline.costs import COSTS, Cost
from tools.bench import (
    alternatives,
    bench,
    predictions,
    results,
    scaling,
    sizes,
    stage_costs,
    steps,
    sweeps,
)
from tools.bench.results import read_benchmark, write_benchmark
from tools.bench.steps import useful_flops
from tools.bench.timing import take_turns
from tools.docs import readme
from tools.docs import scaling as scaling_page
from tools.docs import speed as speed_page
from tools.docs.tables import NOT_MEASURED


def test_functions_are_timed_in_turns_and_short_ones_called_repeatedly(monkeypatch):
    clock, order = [0.0], []

    def work(name: str, seconds: list[float]):
        def call() -> None:
            order.append(name)
            clock[0] += seconds[min(len(seconds) - 1, order.count(name) - 1)]

        return call

    monkeypatch.setattr(time, "perf_counter", lambda: clock[0])
    # Untimed: the first call warms up, the second determines the calls per turn.
    works = {"slow": work("slow", [9.0, 2.0, 2.0, 3.0, 7.0]), "quick": work("quick", [5.0, 0.25])}
    medians = take_turns(works, rounds=3, slot=1.0)
    assert medians == {"slow": 3.0, "quick": 0.25}
    turns = ["slow", *["quick"] * 4] * 3
    assert order == ["slow", "slow", "quick", "quick", *turns]


def test_useful_flops_match_a_hand_count(tiny_params):
    params = tiny_params.model.model_copy(
        update={"widths": [4, 8], "head_widths": [16], "clusters": 10, "overclusters": 20}
    )
    first, second = 28 * 28 * 9 * 1 * 4, 14 * 14 * 9 * 4 * 8
    heads = 2 * 8 * 16 + 16 * 10 + 16 * 20
    # Two views, a multiplication and an addition; the gradient of the image is not computed.
    assert useful_flops(build_network(params)) == 2 * 2 * (2 * first + 3 * (second + heads))


@pytest.fixture
def at_root(monkeypatch):
    monkeypatch.chdir(ROOT)


@pytest.fixture
def file(tmp_path, monkeypatch):
    path = tmp_path / "benchmark.json"
    monkeypatch.setattr(results, "BENCHMARK", path)
    return path


def test_bench_mixes_no_sections_of_different_machines(file, monkeypatch):
    monkeypatch.setattr(bench, "SECTIONS", {
        "a": lambda: iter([{"x": 1}, {"x": 1, "y": 2}]),
        "b": lambda: iter([{"z": 3}]),
    })  # fmt: skip
    bench.measure(["b"])
    bench.measure(["a"])
    assert list(json.loads(file.read_text())) == ["machine", "a", "b"]
    assert read_benchmark() == {"machine": bench.machine(), "a": {"x": 1, "y": 2}, "b": {"z": 3}}
    write_benchmark({**read_benchmark(), "machine": {"processor": "another"}})
    with pytest.raises(InputError, match="benchmark.json: a are of another machine; measure these"):
        bench._check_machine(["b"])
    bench._check_machine(["a", "b"])
    bench._check_machine(["alternatives"])


def test_bench_keeps_finished_values_of_a_failed_section(file, monkeypatch):
    def values():
        yield {"first": 1}
        raise InputError("the second fails")

    monkeypatch.setattr(bench, "SECTIONS", {"a": values})
    with pytest.raises(InputError):
        bench.measure(["a"])
    assert read_benchmark()["a"] == {"first": 1}


def test_damaged_benchmark_file_is_named(file):
    file.write_text("{")
    with pytest.raises(InputError, match="benchmark.json: .*run `git restore .*benchmark.json`"):
        read_benchmark()


def test_bench_refuses_other_data_sets(at_root, monkeypatch, params):
    other = params.with_values(data={"name": "fashion-mnist"})
    monkeypatch.setattr(bench, "recipe_params", lambda recipe: other)
    with pytest.raises(InputError, match=r"data\.name: the benchmark needs mnist, not fashion"):
        bench.main(["steps"])


@pytest.mark.parametrize(
    ("section", "message"),
    [
        ("alternatives", "umap: not installed; `make bench` installs it"),
        ("sweep", "ray: not installed; `make setup EXTRAS=cluster` installs"),
        ("traffic", "ray: not installed; `make setup EXTRAS=cluster` installs"),
    ],
)
def test_missing_package_is_named_before_measuring(at_root, monkeypatch, section, message):
    monkeypatch.setattr(alternatives, "find_spec", lambda name: None)
    monkeypatch.setattr(cluster.importlib.util, "find_spec", lambda name: None)
    monkeypatch.setattr(steps, "training_data", lambda: None)
    monkeypatch.setattr(bench, "measure", lambda sections: pytest.fail("measured"))
    with pytest.raises(InputError, match=message):
        bench.main([section])


@pytest.fixture
def few_sizes(monkeypatch, tmp_path, params):
    """Two shapes with a tiny network; times and the memory of other processes are made up."""
    small = params.with_values(
        model={"widths": [2], "head_widths": []}, train={"batch_size": 4}, augment={"ops": ["flip"]}
    )
    monkeypatch.setattr(sizes, "SHAPES", ((28, 28, 1), (16, 16, 3)))
    monkeypatch.setattr(sizes, "recipe_params", lambda recipe: small)
    monkeypatch.setattr(sizes, "SIZES", tmp_path / "sizes.json")
    monkeypatch.setattr(sizes, "FIGURE", tmp_path / "sizes.png")
    monkeypatch.setattr(speed_page, "SHAPES", sizes.SHAPES)
    seconds = {"step 28×1": 0.2, "step 16×3": 0.05, "predict 28×1": 0.01, "predict 16×3": 0.004}

    def take_turns(works, rounds, slot):
        for work in works.values():
            work()
        return {name: seconds[name] for name in works}

    monkeypatch.setattr(sizes, "take_turns", take_turns)
    memory = {("28", "1"): "700\n", ("16", "3"): "a note\n650\n"}
    monkeypatch.setattr(sizes, "run_module", lambda module, *shape: memory[shape])


def test_sizes_are_compared_with_grey_images_of_28_pixels(few_sizes, tmp_path, monkeypatch):
    monkeypatch.setattr(bench, "_check", lambda chosen: pytest.fail("needs no data"))
    bench.main(["sizes"])
    measured = json.loads((tmp_path / "sizes.json").read_text())
    assert measured["machine"] == bench.machine()
    assert measured["shapes"]["16×3"] == {
        "step_seconds": 0.05, "predict_seconds": 0.004, "step_times": 0.25, "predict_times": 0.4,
        "peak_mb": 650.0,
    }  # fmt: skip
    assert (tmp_path / "sizes.png").read_bytes().startswith(b"\x89PNG")
    assert readme.sizes().splitlines()[2:] == [
        "| 28×28 grey | 1 × | 1 × | 1 × | 700 MB |",
        "| 16×16 colour | 0.98 × | 0.25 × | 0.4 × | 650 MB |",
    ]


def test_memory_of_one_size_is_printed(few_sizes, capsys):
    sizes.main(["16", "3"])
    assert 100 < float(capsys.readouterr().out) < 100_000
    with pytest.raises(InputError, match="64 3: give no arguments, or side and channels, such"):
        sizes.main(["64", "3"])


def test_unknown_section_is_refused_with_the_known_ones(at_root):
    with pytest.raises(InputError, match="stpes: no such section .*steps, stages, command, train"):
        bench.main(["stpes"])


def test_machine_has_no_host_name_or_date():
    machine = bench.machine()
    assert machine["cores"] >= 1
    assert machine["keras"] == keras.__version__
    assert not {"host", "hostname", "date", "time"} & set(machine)


def test_stages_match_dvc_yaml_and_article_steps_match_the_recipe(at_root):
    stages = yaml.safe_load((ROOT / "dvc.yaml").read_text("utf-8"))["stages"]
    assert list(stage_costs.STAGES) == list(stages)
    article = recipe_params("article").train
    assert article.epochs * (steps.MNIST_IMAGES // article.batch_size) == stage_costs.ARTICLE_STEPS


@pytest.mark.long
def test_stage_costs_are_measured_in_a_copy_of_the_code(
    pipeline_run, at_root, monkeypatch, tiny_params
):
    """The light stages run; the others, which take a minute, have made-up costs."""
    monkeypatch.setattr(stage_costs, "recipe_params", lambda name: tiny_params)
    article_seconds = iter([200.0, 400.0, 600.0, 1000.0])
    monkeypatch.setattr(stage_costs, "_article_seconds", lambda folder: next(article_seconds))
    light, train_seconds = stage_costs.run_stage, iter([5.0, 40.0, 10.0, 20.0])

    def run_stage(folder: Path, stage: str) -> Cost:
        if stage in SHARED_STAGES:
            return light(folder, stage)
        if stage == "evaluate":
            shutil.copy(pipeline_run / METRICS, folder / METRICS)
        return Cost(next(train_seconds) if stage == "train" else 1.0, 500.0)

    monkeypatch.setattr(stage_costs, "run_stage", run_stage)
    *_, stages = stage_costs.measure_stages()
    assert list(stages) == list(stage_costs.STAGES)
    assert all(0 <= stages[stage]["seconds"] < 60 for stage in SHARED_STAGES)
    assert all(20 < stages[stage]["peak_mb"] < 500 for stage in SHARED_STAGES)
    assert stages["train"] == {"seconds": 5.0, "peak_mb": 500.0}

    (row,) = (rows["tiny"] for rows in stage_costs.measure_trainings({"tiny": 3}))
    assert row["trainings"] == 3
    assert row["seconds"] == 20
    assert row["article_seconds"] == 500
    # 300 / 40, 500 / 10 and 800 / 20: the steps around each training, divided by its time.
    assert row["times_faster_than_the_article"] == 40
    metrics = json.loads((pipeline_run / METRICS).read_text())
    assert (row["acc"], row["nmi"]) == (metrics["acc"], metrics["nmi"])
    assert row["preparing_seconds"] > 0


def test_a_command_is_timed_with_its_stages(at_root, monkeypatch, file):
    seeds = []

    def run_experiment(name, params, variables):
        assert (name, params.recipe) == ("bench-fast", "fast")
        seeds.append(params.seed)
        Path(variables[COSTS]).write_text("augment 0.20 90\ntrain 0.60 500\nreport 1.40 200\n")
        time.sleep(0.1)

    monkeypatch.setattr("iic.experiments.seeds.run_experiment", run_experiment)
    measured = [stage_costs.measure_command("fast") for _ in range(2)]
    # A seed that was run before would come from DVC's run-cache.
    assert seeds[0] != seeds[1]
    assert measured[0]["stages"] == {"augment": 0.2, "train": 0.6, "report": 1.4}
    assert 0.1 <= measured[0]["seconds"] < 10
    write_benchmark({"command": measured[0] | {"seconds": 9.0}})
    assert readme.command() == (
        "`dvc exp run --temp $(iic recipe fast)` takes 9 s from the command to the prompt: `train` "
        "1 s, `report` 1 s, and 7 s for the start of the stages (Python, TensorFlow) and for DVC."
    )


@pytest.mark.long
def test_scratch_copy_can_time_the_articles_step(at_root):
    """The step is timed by a module of tools, which is not installed."""
    with stage_costs.scratch_copy() as folder:
        command = (sys.executable, "-m", "tools.bench.steps")
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
        assert "give the name of one recipe" in done.stderr


def test_failing_stage_is_named(at_root, tmp_path):
    (tmp_path / "params.yaml").write_text("seed: x\n")
    with pytest.raises(InputError, match="stages.augment: failed, see above"):
        stage_costs.run_stage(tmp_path, "augment")


def test_training_data_must_be_mnist(pipeline_run, monkeypatch):
    monkeypatch.chdir(pipeline_run)
    with pytest.raises(
        InputError, match="images.npz: .* training images, but the benchmark needs MNI"
    ):
        steps.training_data()


def test_step_values_follow_from_the_times(pipeline_run, monkeypatch):
    """Every function is called once; the times are made up."""
    monkeypatch.chdir(pipeline_run)
    monkeypatch.setattr(steps, "MNIST_IMAGES", len(np.load("data/images.npz")["train_images"]))
    tiny = parse_params(Path("params.yaml").read_text(), "params.yaml")
    larger = tiny.with_values(train={"batch_size": 200})
    recipes = {"default": tiny, "article": larger}
    monkeypatch.setattr(steps, "recipe_params", recipes.__getitem__)
    monkeypatch.setattr(steps, "PEAK_SIZE", 64)
    seconds = {"default": 0.1, "article": 0.8, "augmentation": 0.01, "snapshot": 0.25,
               "float32 product": 1e-6, "bfloat16 product": 5e-7}  # fmt: skip

    def take_turns(works, rounds):
        for work in works.values():
            work()
        return {name: seconds[name] for name in works}

    monkeypatch.setattr(steps, "take_turns", take_turns)
    values = steps.measure(["article", "default"])
    peak = 2 * 64**3 / 1e-6
    assert values["peak_gflops"] == {"float32": 524.3, "bfloat16": 1048.6}
    assert values["augmentation_images_per_second"] == 10_000
    assert values["snapshot_seconds"] == 0.25
    assert values["recipes"]["default"] == {
        "batch_size": 100,
        "seconds_per_step": 0.1,
        "pairs_per_second": 1000,
        "times_the_article": 4.0,
        "share_of_float32_peak": round(useful_flops(build_network(tiny.model)) * 1000 / peak, 3),
        "augmentation_share": 0.2,
    }


def test_scaling_variants_differ_in_the_named_setting(params):
    changes = scaling.variants(params)
    assert changes["overclusters 300"].model.overclusters == 300
    assert changes["width 0.5"].model.widths == [w // 2 for w in params.model.widths]
    assert changes["head_layers 3"].model.head_widths == [128, 128, 64]
    for changed in changes.values():
        assert changed.model_copy(update={"model": params.model}) == params


def test_speed_tables_show_the_measured_values(file):
    file.write_text(
        json.dumps(
            {
                "steps": {
                    "peak_gflops": {"float32": 191.04},
                    "snapshot_seconds": 1.53,
                    "recipes": {
                        "default": {"augmentation_share": 0.0421},
                        "article": {"seconds_per_step": 1.1, "pairs_per_second": 909,
                                    "share_of_float32_peak": 0.53},
                        "fast": {"seconds_per_step": 0.06, "pairs_per_second": 4166,
                                 "share_of_float32_peak": 0.6},
                    }
                },
                "trainings": {
                    "best": {"seconds": 999.6, "article_seconds": 6600.0, "peak_mb": 1500,
                             "times_faster_than_the_article": 6.6, "acc": 0.9914,
                             "nmi": 0.9741, "preparing_seconds": 9.8, "trainings": 1},
                    "fast": {"seconds": 70.2, "article_seconds": 6600.0, "peak_mb": 1234,
                             "times_faster_than_the_article": 94.0, "acc": 0.9862,
                             "preparing_seconds": 9.8, "trainings": 3},
                },
                "stages": {"download": {"seconds": 3.2, "peak_mb": 201.7}},
                "predict": {"images": 10_000, "least": 1_000, "network": 2.0, "one": 0.86,
                            "start": 4.04, "npz": 6.24, "png": 6.84},
                "alternatives": {
                    "N2D": {"limit_seconds": 5400},
                    "DEC": {"failed": True},
                    "k-means": {"acc": 0.54, "nmi": 0.5, "seconds": 12.3, "peak_mb": 800,
                                "article_seconds": 6150.0},
                },
            }
        )
    )  # fmt: skip
    assert readme.speed().splitlines()[2:] == [
        "| `article` | 6,600 s, by its step | 1 |  | 909 | 53 % |  |",
        "| `best` | 1,000 s | 1/6.6 | 10 s |  |  | 1,500 MB |",
        "| `fast` | 70 s, median of 3 | 1/94.0 | 10 s | 4,166 | 60 % | 1,234 MB |",
    ]
    assert readme.details().splitlines() == [
        "In `default`, augmentation takes 4.2 % of a step and the snapshot of the test images "
        "1.5 s an epoch; the float32 peak is 191 GFLOP/s.",
        "",
        "| stage of `default` | time | peak memory |",
        "| --- | --- | --- |",
        "| `download` | 3 s | 202 MB |",
    ]
    assert readme.prediction() == (
        "One image takes 0.9 s. From 1,000 images on, the command needs TensorFlow: 4.0 s for "
        "these, 6.2 s for 10,000 images from an NPZ file, 6.8 s from PNG files. The network alone "
        "takes 2.0 s for 10,000 images."
    )
    assert readme.methods().splitlines()[2:] == [
        "| k-means | 54.00 % | 0.500 | 1/500.0 | 800 MB |",
        "| IIC, `fast`, seed 0 | 98.62 % |  | 1/82.5 | 1,234 MB |",
        "| IIC, `best`, seed 0 | 99.14 % | 0.974 | 1/6.5 | 1,500 MB |",
        "| N2D | not finished after 1.5 h |  |  |  |",
        "| DEC | ended with an error |  |  |  |",
    ]


def test_missing_measurements_are_reported(file):
    parts = [readme.speed, readme.details, readme.command, readme.methods, readme.prediction]
    assert {part() for part in parts} == {"Not measured yet: `make bench`."}


def test_predictions_are_timed_as_commands(pipeline_run, monkeypatch):
    """The commands run in this process, which has imported TensorFlow."""
    monkeypatch.chdir(pipeline_run)
    rows = []

    def call(program, *arguments, cwd):
        assert Path(program) == Path(sys.executable).with_name("iic")
        monkeypatch.setattr(sys, "argv", ["iic", *arguments])
        main()
        rows.append(len(Path(arguments[-1]).read_text().splitlines()) - 1)

    monkeypatch.setattr(predictions, "call", call)

    def take_turns(works, rounds):
        for work in works.values():
            work()
        return dict.fromkeys(works, 1.23456)

    monkeypatch.setattr(predictions, "take_turns", take_turns)
    assert predictions.measure() == {
        "images": 360, "least": 1001, "network": 1.235, "one": 1.235, "start": 1.235, "npz": 1.235,
        "png": 1.235,
    }  # fmt: skip
    assert rows == [1, 1001, 360, 360]


def test_failing_prediction_is_named(tmp_path):
    with pytest.raises(InputError, match="(?s)iic predict nowhere.png .*error: nowhere.png"):
        predictions._predict(Path("nowhere.png"), tmp_path)


def test_sweep_tables_show_the_measured_values(file):
    growth = {"clones": 0.2, "pulls": 0.5, "starts": 1.0, "pushes": 0.3, "references_mb": 0.0}
    late = growth | {"starts": 61.0, "pushes": 4.3, "references_mb": 1.5}
    file.write_text(
        json.dumps(
            {
                "scaling": {
                    "images": {"15000": 9.29, "60000": 22.28},
                    "overclusters": {"10": 15.9, "1000": 20.6},
                    "width": {"0.25": 7.06, "1.0": 16.07, "2.0": 44.5},
                    "head_layers": {"1": 15.5, "4": 16.3},
                },
                "trainings": {"default": {"seconds": 300.0}},
                "sweep": {
                    "tasks": 4, "epochs": 1, "rounds": 3, "efficiency": 0.918,
                    "seconds": {"1": 168.3, "2": 91.6},
                    "steps": {"clones": 0.2, "pulls": 0.8, "starts": 1.0, "runs augment": 1.0,
                              "runs train": 26.4, "runs evaluate": 8.0, "runs report": 5.0,
                              "pushes": 1.0},
                },
                "traffic": {
                    "clone_mb": 1.3, "shared_data_mb": 91.4, "pushed_mb": 2.5, "records_kb": 5.0,
                    "empty_tasks_per_second": 1165, "growth": {"0": growth, "10000": late},
                },
            }
        )
    )  # fmt: skip
    assert scaling_page.costs().splitlines()[2:] == [
        "| images | 15,000 | 60,000 | 9.3 to 22.3 |",
        "| overclusters | 10 | 1,000 | 15.9 to 20.6 |",
        "| channels, as a multiple of the network's | 0.25 | 2.0 | 7.1 to 44.5 |",
        "| layers of a head | 1 | 4 | 15.5 to 16.3 |",
    ]
    first, _, head, _, *rows = scaling_page.sweep().splitlines()
    assert first == (
        "4 tasks of 1 epoch of `fast`, one core each, took 168 s with one worker and 92 s with "
        "two (median of 3): **92 % efficiency**. The training took 26 s of a task, the other steps "
        "17 s, of which `evaluate` and `report` took 13 s."
    )
    assert head.endswith("| 0 | 10,000 |")
    assert "| start and pull the run-cache | 1.00 s | 61.00 s |" in rows
    assert "| Git references sent before a push | 0.00 MB | 1.50 MB |" in rows
    rows = scaling_page.estimate().splitlines()[2:]
    # 2 s that grow to 66 s and constant 14 s; 50 tasks of 300 s per machine.
    assert rows[:4] == [
        "| training of `default`, two cores | 300 s | 50 per machine, in turn |",
        "| other steps, first task | 16 s | 5 % of the training |",
        "| other steps, with 10,000 finished | 80 s | 27 % of the training |",
        "| the whole sweep |  | **4.8 hours** |",
    ]
    assert rows[4:] == [
        "| clones, from the Git server | 1.3 MB | 13 GB |",
        "| data, once per machine | 91 MB | 18 GB; once per task, 0.9 TB |",
        "| run-cache of all finished tasks | up to 50 MB in 20,000 files | 250 GB |",
        "| results, at the size of `fast`, to the DVC remote | 2.5 MB | 25 GB |",
        "| Git references sent before a push | up to 1.5 MB | 8 GB |",
        "| tasks that Ray starts | 0.57 per second | 1,165 per second are possible |",
    ]


def test_missing_sweep_measurements_are_reported(file):
    assert scaling_page.costs() == scaling_page.sweep() == scaling_page.estimate() == NOT_MEASURED


def test_finished_experiments_are_added_to_a_repository(tmp_path):
    run("git", "init", "--quiet", cwd=tmp_path)
    commit = ("-c", "user.name=a", "-c", "user.email=a@b", "commit", "--quiet", "--allow-empty")
    run("git", *commit, "--message", "first", cwd=tmp_path)
    head = run("git", "rev-parse", "HEAD", cwd=tmp_path).stdout.strip()
    sweeps._add_finished(tmp_path, Checkout("", head, ""), 12)
    shown = run("git", "ls-remote", ".", "refs/exps/*", cwd=tmp_path).stdout.splitlines()
    assert len(shown) == 12
    records = [path for path in (tmp_path / ".dvc/cache/runs").rglob("*") if path.is_file()]
    assert len(records) == 24
    assert 1e6 * sweeps._size(tmp_path / ".dvc/cache/runs") / 24 == pytest.approx(2562, rel=0.1)


def test_steps_are_medians_over_tasks_with_that_step():
    outcomes = [
        Outcome("a", "done", "", 0.0, steps={"pulls": 1.0, "runs augment": 4.0}),
        Outcome("b", "done", "", 0.0, steps={"pulls": 2.0}),
        Outcome("c", "done", "", 0.0, steps={"pulls": 9.0}),
    ]
    assert sweeps._steps(outcomes) == {"pulls": 2.0, "runs augment": 4.0}
