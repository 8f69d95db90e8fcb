"""Where the benchmark's figures are kept: reports/benchmark.json."""

import json
from typing import Any

from iic.errors import InputError
from iic.files import write_text
from stages.common import BENCHMARK


def read_benchmark() -> dict[str, Any]:
    """What was measured so far, by section."""
    if not BENCHMARK.exists():
        return {}
    try:
        return dict(json.loads(BENCHMARK.read_text("utf-8")))
    except (TypeError, ValueError) as error:
        raise InputError(f"{BENCHMARK}: damaged; `git restore` it") from error


def write_benchmark(sections: dict[str, Any]) -> None:
    """Replace the file as a whole."""
    write_text(BENCHMARK, json.dumps(sections, indent=2) + "\n")
