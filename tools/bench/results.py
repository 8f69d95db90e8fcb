"""Where the benchmark's figures are kept: reports/measurements/benchmark.json."""

import json
from typing import Any

from iic.core.files import read_json, write_text
from iic.report.paths import BENCHMARK


def read_benchmark() -> dict[str, Any]:
    """What was measured so far, by section."""
    return read_json(BENCHMARK, f"git restore {BENCHMARK}") if BENCHMARK.exists() else {}


def write_benchmark(sections: dict[str, Any]) -> None:
    """Replace the file as a whole."""
    write_text(BENCHMARK, json.dumps(sections, indent=2) + "\n")
