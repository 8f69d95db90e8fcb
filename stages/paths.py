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
HISTORY = REPORTS / "history.csv"
