"""Files that the stage `report` reads or writes, beside those of the stages before it."""

from stages.paths import REPORTS

BENCHMARK = REPORTS / "benchmark.json"
FIGURES = REPORTS / "figures"
PAGE = REPORTS / "index.html"
