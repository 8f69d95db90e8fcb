"""Files that the stage `evaluate` writes."""

from pathlib import Path

from iic.pipeline.paths import REPORTS

MODEL_CARD = Path("model-card.json")
METRICS = REPORTS / "metrics.json"
ACCURACY = REPORTS / "accuracy.csv"
ASSIGNMENTS = REPORTS / "assignments.csv"
PREDICTIONS = REPORTS / "predictions.csv"
# Columns of PREDICTIONS that contain names of classes; all others contain numbers.
CLASS_COLUMNS = ("label", "predicted")
