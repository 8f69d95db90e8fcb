"""The data of a finished run of segmentation, as its report uses them."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from iic.core.constants import Head
from iic.render.palette import palette, segment_colors
from iic.segmentation.card import SegmentationCard
from iic.segmentation.constants import IGNORED
from iic.segmentation.scores import pixel_table

# Rows of the study by alpha and reach ("5.0 1") and by seed.
Study = Mapping[str, Mapping[str, Mapping[str, Any]]]
# Settings of the loss that differ within the study.
_STUDIED = {"alpha", "alpha_final", "reach", "reach_final"}


def complete_study(rows: Study) -> Study:
    """Return the rows of the seeds that were measured with every alpha and reach.

    Args:
        rows: Part "study" of reports/measurements/segmentation.json.

    Returns:
        The rows; empty without such a seed, or if other settings differ between them, as while the
        study is measured again: they cannot be compared.
    """
    names = [name.split() for name in rows]
    grid = {f"{alpha} {reach}" for alpha, _ in names for _, reach in names}
    if not rows or grid != rows.keys():
        return {}
    seeds = set.intersection(*(set(found) for found in rows.values()))
    found = {
        name: {seed: row for seed, row in by_seed.items() if seed in seeds}
        for name, by_seed in rows.items()
    }
    others = [_other_settings(row) for by_seed in found.values() for row in by_seed.values()]
    return found if others and all(other == others[0] for other in others) else {}


def _other_settings(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings of a row without those that differ within the study."""
    settings = row.get("settings", {})
    loss = {key: value for key, value in settings.get("loss", {}).items() if key not in _STUDIED}
    return settings | {"loss": loss}


@dataclass(frozen=True)
class SegmentedRun:
    """Content of the files that a finished run wrote, and quantities that follow directly.

    Attributes:
        settings: Values of the parameters that the page shows, by name.
        card: Card of the model, with the names of the classes and the class of each segment.
        metrics: Content of reports/segmentation/metrics.json.
        history: Columns of reports/segmentation/history.csv, one row per epoch.
        accuracy: Columns of reports/segmentation/accuracy.csv; only "epoch" without masks of the
            recorded tiles.
        snapshots: Arrays of data/segmentation/snapshots.npz.
        tiles: Test tiles (m, s, s) or (m, s, s, 3), uint8.
        masks: Classes (m, s, s), or IGNORED.
        segments: Segments (m, s, s) of each head, by head.
        map: A whole picture (h, w, 3), uint8; empty for data without a map.
        map_truth: Classes of its pixels (h, w), or IGNORED.
        map_segments: Segments of its pixels (h, w).
        study: Rows of the study, as from complete_study.
    """

    settings: Mapping[str, object]
    card: SegmentationCard
    metrics: Mapping[str, float]
    history: Mapping[str, np.ndarray]
    accuracy: Mapping[str, np.ndarray]
    snapshots: Mapping[str, np.ndarray]
    tiles: np.ndarray
    masks: np.ndarray
    segments: Mapping[Head, np.ndarray]
    map: np.ndarray
    map_truth: np.ndarray
    map_segments: np.ndarray
    study: Study

    @property
    def is_labelled(self) -> bool:
        """Whether the test tiles have masks."""
        return bool(self.card.labels)

    @property
    def is_scored_by_epoch(self) -> bool:
        """Whether any of the recorded tiles has a mask."""
        return "pixel_acc" in self.accuracy

    @property
    def seed(self) -> str:
        """Seed of the training, for captions."""
        return str(self.card.seed)

    def outputs(self, head: Head) -> int:
        """Return the number of outputs of a head."""
        return len(self.card.clusters if head is Head.CLUSTER else self.card.overclusters)

    @cached_property
    def colors(self) -> Mapping[Head, np.ndarray]:
        """Colour of each segment (k, 3), uint8, by head: that of its class, if it has one."""
        cluster = segment_colors(self.card.clusters, len(self.card.labels))
        # Overclusters of one class would have one colour, so they get colours of their own.
        return {Head.CLUSTER: cluster, Head.OVERCLUSTER: palette(self.outputs(Head.OVERCLUSTER))}

    @property
    def class_colors(self) -> np.ndarray:
        """Colour of each class (classes, 3), uint8."""
        return palette(len(self.card.labels))

    @property
    def predicted(self) -> np.ndarray:
        """Class (m, s, s) of each pixel's segment, IGNORED for a segment without a class."""
        classes = [IGNORED if label is None else label for label in self.card.clusters]
        return np.array(classes, np.uint8)[self.segments[Head.CLUSTER]]

    def confusion(self, head: Head) -> np.ndarray:
        """Count the test pixels by class and segment of a head, (classes, k)."""
        return pixel_table(
            self.masks, self.segments[head], len(self.card.labels), self.outputs(head)
        )

    def segment_name(self, segment: int) -> str:
        """Return the number of a segment, with its class if it has one."""
        name = self.card.cluster_names()[segment]
        return f"{segment}" if name is None else f"{segment}: {name}"
