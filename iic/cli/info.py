"""`iic info`: versions, data, model, recipe and metrics."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from iic.cli.options import model_option
from iic.evaluation.paths import METRICS
from iic.pipeline.paths import IMAGES

# Counts, printed with thousands separators; other numbers, such as seeds, are not.
_GROUPED = {"train_images", "test_images", "parameters", "bytes"}


@click.command(short_help="Show versions, data, model and metrics.")
@model_option
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of text.")
def info(model: Path, as_json: bool) -> None:
    """Show versions, data, model, recipe, metrics and names of clusters.

    Data and reports are expected beside the model's folder. Missing files are listed.
    """
    from iic.model.store import read_model_params
    from iic.segmentation.store import is_trunk
    from iic.serving.info import describe

    if is_trunk(model):
        # Its error names the commands for such a network.
        read_model_params(model)
    facts = describe(model, model.parent / IMAGES, model.parent / METRICS)
    click.echo(json.dumps(facts, indent=2) if as_json else "\n".join(lines(facts)))


def lines(facts: dict[str, Any]) -> Iterator[str]:
    """Yield the lines of text that show the facts of iic.serving.info.describe."""
    for section in ("versions", "machine", "data", "model", "training", "metrics"):
        if facts[section]:
            yield section
            yield from _rows({key: _text(key, value) for key, value in facts[section].items()})
    if facts["clusters"]:
        yield "clusters, and the class that each stands for"
        yield from _rows({str(k): name or "no class" for k, name in enumerate(facts["clusters"])})
    if facts["missing"]:
        yield "missing"
        yield from (f"  {line}" for line in facts["missing"])


def _rows(values: dict[str, str]) -> Iterator[str]:
    """Yield one line for each value, with all values of a section in one column."""
    width = max(15, *map(len, values))
    yield from (f"  {key:<{width}} {text}" for key, text in values.items())


def _text(key: str, value: object) -> str:
    if value is None:
        return "not installed"
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "none"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return f"{value:,}" if key in _GROUPED else str(value)
