"""Compare numbers of clusters k without labels, by mutual information and stability.

Each k is trained with pairs of seeds. Mutual information is at most ln k and measures how
confidently the network separates the images. Stability, the adjusted Rand index of the two
clusterings of a pair, measures how much of a clustering comes from the images and not the seed. A
training that puts all images into one cluster has no clustering, so its pair has no stability.
"""

import math
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from iic.core.errors import InputError
from iic.core.files import write_bytes, write_table
from iic.experiments.grid import Experiment
from iic.experiments.queue import remove_results, run_missing
from iic.experiments.reading import columns_of, metrics_of
from iic.experiments.recipes import (
    leaves,
    options_of,
    read_settings,
    recipe_params,
    with_overrides,
)
from iic.experiments.seeds import fingerprint_of, recipe_of
from iic.pipeline.paths import HISTORY, STUDIES
from iic.render.figures import BLUE, ORANGE
from iic.render.pictures import png

TABLE = STUDIES / "choose-k.csv"
FIGURE = STUDIES / "choose-k.png"
# Keys that each training has a value of its own for, and the remedy for a setting of them.
_OWN = {
    "model.clusters": "name the numbers of clusters as in `iic choose 5 8 10`",
    "train.second_seed": "leave it out; it follows `seed`, which you may set",
}


@dataclass(frozen=True)
class Choice:
    """Result of a pair of trainings with k clusters.

    Attributes:
        k: Number of clusters.
        seed: Seed of the first training.
        second_seed: Seed of the second training.
        mutual_information: Mutual information of the first training's last epoch, in nats.
        stability: Adjusted Rand index of the two clusterings of the test images; NaN if a training
            has collapsed.
        clusters_used: Number of clusters that the first training uses.
        collapsed: Number of trainings, of the two, with all test images in one cluster.
    """

    k: int
    seed: int
    second_seed: int
    mutual_information: float
    stability: float
    clusters_used: int
    collapsed: int = 0

    @property
    def share(self) -> float:
        """Mutual information as a share of ln k, its upper bound."""
        return self.mutual_information / math.log(self.k)


def choose_k(
    numbers: Sequence[int],
    recipe: str,
    settings: Sequence[str],
    pairs: int,
    jobs: int,
    again: bool = False,
) -> None:
    """Run the missing trainings, write a table and a figure, and print the mean of each k.

    Args:
        numbers: Numbers of clusters to compare.
        recipe: Name of the recipe that all trainings start from.
        settings: Further overrides, such as "data.name=custom".
        pairs: Number of pairs of seeds for each number of clusters.
        jobs: Number of experiments to run at once.
        again: Whether to repeat trainings that have results, as after a change of the code.

    Raises:
        InputError: A setting is wrong, or an experiment failed.
    """
    wanted = pairs_of_runs(numbers, recipe, settings, pairs)
    if again:
        remove_results(wanted)
    finished = {}
    for experiment in run_missing(wanted, jobs):
        finished[experiment.name] = _read_choice(experiment)
        sys.stderr.write(f"{len(finished)} of {len(wanted)}: {experiment.name}\n")
    choices = [finished[experiment.name] for experiment in wanted]
    columns = ("k", "seed", "second_seed", "mutual_information", "share", "stability")
    table = {name: [getattr(choice, name) for choice in choices] for name in columns}
    write_table(TABLE, table | {"clusters_used": [choice.clusters_used for choice in choices]})
    write_bytes(FIGURE, png(choice_figure(choices)))
    sys.stdout.write("\n".join([*summary_lines(choices), f"{TABLE}, {FIGURE}", ""]))


def pairs_of_runs(
    numbers: Sequence[int], recipe: str, settings: Sequence[str], pairs: int
) -> list[Experiment]:
    """Return an experiment for each number of clusters and each pair of seeds; see `choose_k`."""
    overrides = read_settings(settings)
    _check_free(overrides)
    base = with_overrides(recipe_params(recipe), overrides, "settings")
    images = fingerprint_of(base.data)
    experiments = []
    for k in sorted(set(numbers)):
        for pair in range(pairs):
            seeds = {"seed": base.seed + 2 * pair}
            changes = seeds | {
                "model": {"clusters": k},
                "train": {"second_seed": base.seed + 2 * pair + 1},
            }
            params = with_overrides(base, changes, f"k = {k}")
            name = f"choose-k-{k}-seed-{params.seed}-{recipe_of(params)}{images}"
            experiments.append(Experiment(name, str(k), params.seed, params, options_of(params)))
    return experiments


def _check_free(overrides: Mapping[str, object]) -> None:
    """Raise an InputError for a setting that would be replaced."""
    for key, _ in leaves(overrides):
        if key in _OWN:
            raise InputError(f"{key}: `iic choose` sets it for each training; {_OWN[key]}")


def _read_choice(experiment: Experiment) -> Choice:
    metrics = metrics_of(experiment.name)
    last = {name: column[-1] for name, column in columns_of(experiment.name, HISTORY).items()}
    second_seed = experiment.params.train.second_seed
    if second_seed is None:
        raise AssertionError("unreachable")
    used = int(last["clusters_used"])
    # Older results have a stability of 1 where both trainings collapsed.
    collapsed = int(metrics.get("collapsed_trainings", used < 2))
    return Choice(
        experiment.params.model.clusters,
        experiment.seed,
        second_seed,
        float(last["cluster_mutual_information"]),
        math.nan if collapsed else float(metrics["stability"]),
        used,
        collapsed,
    )


def summary_lines(choices: Sequence[Choice]) -> list[str]:
    """Format a table with the means over the pairs of seeds, one row per number of clusters.

    The mean stability is that of the pairs without a collapsed training; a line below the table
    counts the others.
    """
    lines = ["   k  used  mutual information  of ln k  stability   pairs"]
    for k, group in _by_number(choices).items():
        used, information, share = (
            np.mean([getattr(choice, name) for choice in group])
            for name in ("clusters_used", "mutual_information", "share")
        )
        stable = _stabilities(group)
        mean = f"{np.mean(stable):.3f}" if stable else "-"
        around = f" ± {np.std(stable, ddof=1):.3f}" if len(stable) > 1 else ""
        lines.append(
            f"{k:4d}  {used:4.3g}  {information:13.3f} nats  {100 * share:5.1f} %"
            f"  {mean:>9}{around}  {len(group):4d}"
        )
    if collapsed := sum(choice.collapsed for choice in choices):
        lines.append(
            f"collapsed, undertrained: {collapsed} of {2 * len(choices)} trainings have all test "
            "images in one cluster, so their pairs have no stability; raise train.epochs or lower "
            "train.batch_size"
        )
    return lines


def _stabilities(group: Iterable[Choice]) -> list[float]:
    """Stability of the pairs without a collapsed training."""
    return [choice.stability for choice in group if not choice.collapsed]


def _by_number(choices: Iterable[Choice]) -> dict[int, list[Choice]]:
    """Group results by k."""
    groups: dict[int, list[Choice]] = {}
    for choice in choices:
        groups.setdefault(choice.k, []).append(choice)
    return groups


def choice_figure(choices: Sequence[Choice]) -> Figure:
    """Plot mutual information, with its bound ln k, and stability against k.

    A cross marks each k with a collapsed training.
    """
    figure = Figure(figsize=(10.4, 3.8), layout="constrained")
    left, right = figure.subplots(1, 2)
    groups = _by_number(choices)
    numbers = np.array(list(groups))
    information = [[choice.mutual_information for choice in group] for group in groups.values()]
    stable = [_stabilities(group) for group in groups.values()]
    for axis, values in ((left, information), (right, stable)):
        means = [np.mean(v) if v else math.nan for v in values]
        axis.plot(numbers, means, "-", color=BLUE, label="mean")
        for k, pairs in zip(numbers, values, strict=True):
            axis.plot([k] * len(pairs), pairs, "o", color=BLUE, ms=5)
        axis.set_xlabel("clusters k")
        axis.xaxis.set_major_locator(MaxNLocator(integer=True))
        axis.grid(alpha=0.3)
    left.plot(numbers, np.log(numbers), "--", color=ORANGE, label="ln k, the upper bound")
    left.set(title="Mutual information", ylabel="nats", ylim=(0, None))
    left.legend()
    right.set(title="Stability of two seeds", ylabel="adjusted Rand index", ylim=(None, 1.02))
    if collapsed := [k for k, group in groups.items() if any(c.collapsed for c in group)]:
        # At the bottom of the axis, whatever its range.
        bottom = {"transform": right.get_xaxis_transform(), "color": ORANGE}
        right.plot(collapsed, [0.04] * len(collapsed), "x", label="collapsed training", **bottom)
        right.legend()
    return figure
