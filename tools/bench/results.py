"""The file of the benchmark's values, reports/measurements/benchmark.json."""

import json
from typing import Any

from iic.core.files import read_json, write_text
from iic.report.paths import BENCHMARK


def read_benchmark() -> dict[str, Any]:
    """Return the values measured so far, by section; empty without a file."""
    return read_json(BENCHMARK, f"git restore {BENCHMARK}") if BENCHMARK.exists() else {}


def write_benchmark(sections: dict[str, Any]) -> None:
    """Replace the file."""
    write_text(BENCHMARK, json.dumps(sections, indent=2) + "\n")
