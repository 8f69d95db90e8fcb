"""Files of the pipeline that more than one part of the code reads or writes."""

from pathlib import Path

PARAMS = Path("params.yaml")
PIPELINE = Path("dvc.yaml")
LOCK = Path("dvc.lock")

IMAGES = Path("data/images.npz")
LABELS = Path("data/labels.npz")
DRAWS = Path("data/draws.npz")
NEIGHBORS = Path("data/neighbors.npz")
SNAPSHOTS = Path("data/snapshots.npz")
MODEL = Path("model")
REPORTS = Path("reports")
# Tables of seeds, results of grids, and measurements of the machine, which no stage writes.
SEEDS = REPORTS / "seeds"
STUDIES = REPORTS / "studies"
MEASUREMENTS = REPORTS / "measurements"
HISTORY = REPORTS / "history.csv"
