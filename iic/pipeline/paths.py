"""Paths of the files of both pipelines that several sub-packages read or write."""

from pathlib import Path
from typing import NamedTuple


class Pipeline(NamedTuple):
    """A pipeline of DVC.

    Attributes:
        stages: File of its stages, dvc.yaml; all paths in it are relative to the top folder.
        params: File of its parameters.
    """

    stages: Path
    params: Path

    @property
    def lock(self) -> Path:
        """File in which DVC records the checksums of inputs and outputs."""
        return self.stages.with_suffix(".lock")


CLUSTERING = Pipeline(Path("dvc.yaml"), Path("params.yaml"))
SEGMENTATION = Pipeline(Path("segmentation/dvc.yaml"), Path("segmentation/params.yaml"))
PIPELINES = (CLUSTERING, SEGMENTATION)

PARAMS = CLUSTERING.params
PIPELINE = CLUSTERING.stages
LOCK = CLUSTERING.lock

SOURCE = Path("data/source.json")
IMAGES = Path("data/images.npz")
LABELS = Path("data/labels.npz")
APPEARANCE = Path("data/appearance.json")
DRAWS = Path("data/draws.npz")
NEIGHBORS = Path("data/neighbors.npz")
SNAPSHOTS = Path("data/snapshots.npz")
MODEL = Path("model")
REPORTS = Path("reports")
# Tables of seeds, results of grids, and measurements of the machine; no stage writes them.
SEEDS = REPORTS / "seeds"
STUDIES = REPORTS / "studies"
MEASUREMENTS = REPORTS / "measurements"
HISTORY = REPORTS / "history.csv"
