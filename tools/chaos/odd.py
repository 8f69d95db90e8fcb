"""Parameters that are odd but valid, each through all six stages on the 1,797 digits.

A run has to end with all outputs of all stages and finite numbers in them, or to be refused in one
line, with nothing left of the stage that refused.
"""

import contextlib
import gc
import importlib
import json
import math
import random
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import keras
import yaml
from hypothesis import strategies as st

from iic.core.errors import InputError
from iic.core.files import read_table
from iic.core.params import OPERATIONS, Params
from iic.evaluation.paths import METRICS
from iic.experiments.recipes import with_overrides
from iic.model.diagnosis import diagnose
from iic.pipeline.paths import HISTORY, PARAMS
from iic.pipeline.resume import FOLDER as STATES
from iic.pipeline.stage import read_params
from iic.report.paths import BENCHMARK
from tools.chaos.counting import Count
from tools.chaos.examples import distinct

# A key and its value as JSON.
Setting = tuple[str, str]
Settings = tuple[Setting, ...]

# A network and a schedule as small as possible; what is odd comes on top.
SMALL: Settings = (
    ("data.name", '"digits"'),
    ("augment.views", "2"),
    ("model.widths", "[4, 4, 8]"),
    ("model.head_widths", "[8]"),
    ("model.overclusters", "20"),
    ("train.epochs", "2"),
)

# 1,437 of the digits are trained on.
NAMED: Sequence[Settings] = (
    (("train.batch_size", "100000"),),
    (("train.batch_size", "1437"),),
    (("train.batch_size", "1436"),),
    (("train.batch_size", "719"),),
    (("train.batch_size", "2"), ("train.epochs", "1")),
    (("train.batch_size", "1"),),
    (("train.epochs", "1"),),
    (("augment.ops", "[]"),),
    *((("augment.ops", json.dumps([name])),) for name in OPERATIONS),
    (("model.clusters", "2"), ("model.overclusters", "2")),
    (("model.clusters", "500"), ("model.overclusters", "500")),
)

_ODD: Mapping[str, Sequence[object]] = {
    "seed": (1, 2**31 - 1),
    "recipe": ("<b>&amp;", "=1+1", "ünïcode 数字", "r" * 60),
    "augment.ops": ([], *([name] for name in OPERATIONS), ["noise", "rotation"]),
    "augment.views": (1, 2, 7),
    "augment.both_views": (False,),
    "augment.rotation": (0, 180.0),
    "augment.shear": (0, 2.0),
    "augment.scale": (0, 0.99),
    "augment.shift": (0, 28.0),
    "augment.elastic": (0, 28.0),
    "augment.binarization": (0, 1),
    "augment.noise": (0, 2),
    "augment.strength_final": (0, 1),
    "augment.neighbors": (0, 1, 1436, 1437, 10_000),
    "augment.neighbor_share": (0.0, 0.01),
    "augment.neighbor_until": (0.0, 1.0),
    "model.widths": ([1], [3, 1, 2, 1, 1, 1, 1, 1], [16]),
    "model.head_widths": ([], [1], [2, 1, 2]),
    "model.clusters": (2, 3, 500),
    "model.overclusters": (2, 9, 500),
    "model.pool_first": (False,),
    "model.normalize_logits": (False,),
    "loss.alpha": (1e-3, 1e-300, 1000.0),
    "loss.alpha_final": (None, 1e-3, 1000),
    "loss.alpha_falls_from": (0.0,),
    "loss.alpha_falls_until": (1.0,),
    "loss.overclustering_weight": (0.0, 1.0),
    "loss.teaching_weight": (0.0, 100.0),
    "loss.teaching_from": (0.0, 1.0),
    "train.epochs": (1, 3),
    "train.batch_size": (1, 7, 719, 1436, 1437, 1438, 2**31 - 1),
    "train.learning_rate": (1e-300, 1.0, 10),
    "train.learning_rate_final": (0.0, 1e-300, 10),
    "train.precision": ("mixed_bfloat16",),
    "train.second_seed": (1, 5),
    "committee.members": (1, 2),
    "committee.width": (1e-3, 4.0),
    "committee.epochs": (1,),
    "committee.kept": (1e-3, 1.0),
    "committee.quorum": (0.51, 1.0),
    "committee.weight": (1e-3, 100.0),
    "report.label": (3, "none such", "<i>"),
}


def settings() -> st.SearchStrategy[Settings]:
    """Some odd values together."""
    one = st.sampled_from([(key, json.dumps(value)) for key in _ODD for value in _ODD[key]])
    return st.lists(one, min_size=1, max_size=5, unique_by=lambda setting: setting[0]).map(
        lambda chosen: tuple(sorted(chosen))
    )


def on_digits(numbers: random.Random) -> Iterator[Count]:
    """A hundred runs; those that have a name come first."""
    named = {tuple(sorted(chosen)) for chosen in NAMED}
    found = distinct(
        settings().filter(lambda chosen: chosen not in named), 100 - len(NAMED), numbers
    )
    return trials([*NAMED, *found])


def trials(chosen: Sequence[Settings]) -> Iterator[Count]:
    """Run the pipeline once for each; yield the count after each."""
    count, root = Count(), Path.cwd()
    for settings in chosen:
        with tempfile.TemporaryDirectory() as name, contextlib.chdir(name):
            BENCHMARK.parent.mkdir()
            shutil.copy(root / BENCHMARK, BENCHMARK)
            what, *details = trial(root, settings)
        says = ", ".join(f"{key}={value}" for key, value in settings)
        count.add(what and f"{says}: {what}", *details)
        yield count


def trial(root: Path, settings: Settings) -> tuple[str, ...]:
    """What was lost in a run in the current, empty folder; then how it ended.

    Args:
        root: of the repository, whose params.yaml and dvc.yaml count.
        settings: on top of SMALL.
    """
    stages = yaml.safe_load((root / "dvc.yaml").read_text("utf-8"))["stages"]
    refusing = "params.yaml"
    try:
        params = _params(root, settings)
        for refusing in stages:
            importlib.import_module(f"stages.{refusing}").main(params)
    except InputError as error:
        return _of_refusal(str(error), _outputs(stages.get(refusing, {}))), f"refused by {refusing}"
    except Exception as error:
        return (f"{refusing}: {type(error).__name__}: {' '.join(str(error).split())[:300]}",)
    finally:
        # Else each training would leave its graph in memory.
        keras.backend.clear_session()
        gc.collect()
    missing = [path for stage in stages.values() for path in _outputs(stage) if not path.exists()]
    return _of_end(missing), "ran to the end", *_diagnosed(params)


def _params(root: Path, settings: Settings) -> Params:
    tree: dict[str, object] = {}
    for key, value in (*SMALL, *settings):
        section, _, name = key.rpartition(".")
        keys = tree.setdefault(section, {}) if section else tree
        assert isinstance(keys, dict)  # noqa: S101 - for the type checker
        keys[name] = json.loads(value)
    return with_overrides(read_params(root / PARAMS), tree, "params.yaml")


def _outputs(stage: Mapping[str, list[object]]) -> list[Path]:
    entries = [entry for kind in ("outs", "metrics", "plots") for entry in stage.get(kind, [])]
    return [Path(next(iter(e)) if isinstance(e, dict) else str(e)) for e in entries]


def _of_refusal(said: str, outputs: Sequence[Path]) -> str:
    """What is lost in a refusal: more than a line, or something of its stage is there."""
    if not said or "\n" in said:
        return f"refused in {len(said.splitlines())} lines"
    written = [str(path) for path in outputs if path.exists()]
    return f"refused, but {', '.join(written)} is there" if written else ""


def _of_end(missing: Sequence[Path]) -> str:
    """What is lost in a run to the end."""
    if missing:
        return f"without {', '.join(map(str, missing))}"
    if any(STATES.glob("*")):
        return "a state is left"
    numbers = [
        *json.loads(METRICS.read_text("utf-8")).values(),
        *(number for column in read_table(HISTORY).values() for number in column),
    ]
    return "" if all(map(math.isfinite, numbers)) else "a metric is no number"


def _diagnosed(params: Params) -> list[str]:
    """What the training says of itself, without numbers."""
    row = {name: float(column[-1]) for name, column in read_table(HISTORY).items()}
    words = " ".join(diagnose(row, params.model.head_sizes))
    return [word for word in ("collapsed", "empty", "undecided") if word in words]
