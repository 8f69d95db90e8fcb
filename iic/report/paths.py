"""Files that the stage `report` reads or writes, beside those of the stages before it."""

from iic.pipeline.paths import MEASUREMENTS, REPORTS

BENCHMARK = MEASUREMENTS / "benchmark.json"
FIGURES = REPORTS / "figures"
PAGE = REPORTS / "index.html"
