"""Files that only the stage `report` reads or writes."""

from iic.pipeline.paths import MEASUREMENTS, REPORTS

BENCHMARK = MEASUREMENTS / "benchmark.json"
FIGURES = REPORTS / "figures"
PAGE = REPORTS / "index.html"
