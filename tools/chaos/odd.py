"""Odd but valid parameters, each through all six stages on the 1,797 digits.

A run must end with all outputs of all stages and finite numbers in them, or be refused in one line,
with nothing left of the stage that refused.
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
from hypothesis import strategies as st

from iic.core.errors import InputError
from iic.core.files import read_table
from iic.core.params import OPERATIONS, Params
from iic.evaluation.paths import METRICS
from iic.experiments.recipes import read_settings, with_overrides
from iic.experiments.scratch import STAGES
from iic.model.diagnosis import diagnose
from iic.pipeline.paths import HISTORY, PARAMS, PIPELINE
from iic.pipeline.resume import FOLDER as STATES
from iic.pipeline.stage import read_params
from iic.report.paths import BENCHMARK
from tools.chaos.clones import Count
from tools.chaos.parameters import examples
from tools.determinism.outputs import declared_outputs

# Settings `key=value`, with the values as JSON.
Settings = tuple[str, ...]

# A network and a schedule as small as possible; what is odd comes on top.
SMALL: Settings = (
    *('data.name="digits"', "augment.views=2", "model.widths=[4, 4, 8]", "model.head_widths=[8]"),
    *("model.overclusters=20", "train.epochs=2"),
)
# Always tried, in this order; 1,437 of the digits are trained on.
NAMED: Sequence[Settings] = (
    *((f"train.batch_size={size}",) for size in (100_000, 1437, 1436, 719, 1)),
    ("train.batch_size=2", "train.epochs=1"),
    ("train.epochs=1",),
    ("augment.ops=[]",),
    *((f'augment.ops=["{name}"]',) for name in OPERATIONS),
    ("model.clusters=2", "model.overclusters=2"),
    ("model.clusters=500", "model.overclusters=500"),
)
_ODD: Mapping[str, Sequence[object]] = {
    "seed": (1, 2**31 - 1), "recipe": ("<b>&amp;", "=1+1", "ünïcode 数字", "r" * 60),
    "augment.ops": ([], *([name] for name in OPERATIONS), ["noise", "rotation"]),
    "augment.views": (1, 2, 7), "augment.both_views": (False,),
    "augment.rotation": (0, 180.0), "augment.shear": (0, 2.0), "augment.scale": (0, 0.99),
    "augment.shift": (0, 28.0), "augment.elastic": (0, 28.0), "augment.binarization": (0, 1),
    "augment.noise": (0, 2), "augment.strength_final": (0, 1),
    "augment.neighbors": (0, 1, 1436, 1437, 10_000), "augment.neighbor_share": (0.0, 0.01),
    "augment.neighbor_until": (0.0, 1.0), "model.widths": ([1], [3, 1, 2, 1, 1, 1, 1, 1], [16]),
    "model.head_widths": ([], [1], [2, 1, 2]), "model.clusters": (2, 3, 500),
    "model.overclusters": (2, 9, 500), "model.pool_first": (False,),
    "model.normalize_logits": (False,), "loss.alpha": (1e-3, 1e-300, 1000.0),
    "loss.alpha_final": (None, 1e-3, 1000), "loss.alpha_falls_from": (0.0,),
    "loss.alpha_falls_until": (1.0,), "loss.overclustering_weight": (0.0, 1.0),
    "loss.teaching_weight": (0.0, 100.0),
    "loss.teaching_from": (0.0, 1.0), "train.epochs": (1, 3),
    "train.batch_size": (1, 7, 719, 1436, 1437, 1438, 2**31 - 1),
    "train.learning_rate": (1e-300, 1.0, 10), "train.learning_rate_final": (0.0, 1e-300, 10),
    "train.precision": ("mixed_bfloat16",), "train.second_seed": (1, 5),
    "committee.members": (1, 2), "committee.width": (1e-3, 4.0), "committee.epochs": (1,),
    "committee.kept": (1e-3, 1.0), "committee.quorum": (0.51, 1.0),
    "committee.weight": (1e-3, 100.0), "report.label": (3, "none such", "<i>"),
}  # fmt: skip


def odd_settings() -> st.SearchStrategy[Settings]:
    """Strategy of one to five odd settings together that are not in NAMED."""
    one = st.sampled_from([f"{key}={json.dumps(value)}" for key in _ODD for value in _ODD[key]])
    several = st.lists(one, min_size=1, max_size=5, unique_by=lambda text: text.partition("=")[0])
    named = {tuple(sorted(settings)) for settings in NAMED}
    return several.map(lambda chosen: tuple(sorted(chosen))).filter(lambda s: s not in named)


def on_digits(numbers: random.Random, trials: int = 100) -> Iterator[Count]:
    """Run the pipeline with each of NAMED, then with others."""
    return runs([*NAMED, *examples(odd_settings(), trials - len(NAMED), numbers)])


def runs(chosen: Sequence[Settings]) -> Iterator[Count]:
    """Run the pipeline once for each of these settings."""
    count, root = Count(), Path.cwd()
    for settings in chosen:
        with tempfile.TemporaryDirectory() as name, contextlib.chdir(name):
            BENCHMARK.parent.mkdir(parents=True)
            shutil.copy(root / BENCHMARK, BENCHMARK)
            what, *details = _run(root, settings)
        count.add(what and f"{', '.join(settings)}: {what}", *details)
        yield count


def _run(root: Path, settings: Settings) -> tuple[str, ...]:
    """Run the stages in the current, empty folder; return what was lost, then how it ended."""
    pipeline, stage = root / PIPELINE, "params.yaml"
    try:
        overrides = read_settings([*SMALL, *settings])
        params = with_overrides(read_params(root / PARAMS), overrides, "params.yaml")
        for stage in STAGES:
            importlib.import_module(f"stages.{stage}").main(params)
    except InputError as error:
        outputs = declared_outputs(pipeline, stage) if stage in STAGES else []
        written = [path for path in outputs if Path(path).exists()]
        fault = f"refused, but {', '.join(written)} is there" if written else ""
        lines = len(str(error).splitlines())
        return fault if lines == 1 else f"refused in {lines} lines", f"refused by {stage}"
    except Exception as error:
        return (f"{stage}: {type(error).__name__}: {' '.join(str(error).split())[:300]}",)
    finally:
        # Otherwise each training would leave its graph in memory.
        keras.backend.clear_session()
        gc.collect()
    return _fault_of_outputs(declared_outputs(pipeline)), "ran to the end", *_diagnosed(params)


def _fault_of_outputs(outputs: Sequence[str]) -> str:
    if missing := [path for path in outputs if not Path(path).exists()]:
        return f"without {', '.join(missing)}"
    if any(STATES.glob("*")):
        return "a state is left"
    columns = read_table(HISTORY).values()
    metrics = json.loads(METRICS.read_text("utf-8")).values()
    is_finite = all(math.isfinite(number) for column in (metrics, *columns) for number in column)
    return "" if is_finite else "a metric is not a number"


def _diagnosed(params: Params) -> list[str]:
    """Words for what the training diagnosed about itself."""
    row = {name: float(column[-1]) for name, column in read_table(HISTORY).items()}
    words = " ".join(diagnose(row, params.model.head_sizes))
    return [word for word in ("collapsed", "empty", "undecided") if word in words]
