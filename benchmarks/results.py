"""Where the benchmark's figures are kept: reports/benchmark.json."""

import json
from collections.abc import Sequence
from typing import Any

from iic.files import write_text
from stages.common import BENCHMARK


def read_benchmark() -> dict[str, Any]:
    """What was measured so far, by section."""
    return dict(json.loads(BENCHMARK.read_text("utf-8"))) if BENCHMARK.exists() else {}


def store_section(name: str, figures: dict[str, Any], order: Sequence[str]) -> None:
    """Replace one section and keep the others."""
    sections = {**read_benchmark(), name: figures}
    ordered = {section: sections[section] for section in order if section in sections}
    write_text(BENCHMARK, json.dumps(ordered, indent=2) + "\n")
