"""Paths of the pipeline's files that several sub-packages read or write."""

from pathlib import Path

PARAMS = Path("params.yaml")
PIPELINE = Path("dvc.yaml")
LOCK = Path("dvc.lock")

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
