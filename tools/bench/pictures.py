"""Time and peak memory of `iic segment`, the whole command, for a large picture.

`python -m tools.bench.pictures` segments a picture of each size with the network in
segmentation/model and adds the values to reports/measurements/segmentation.json; `python -m
tools.bench.pictures one PICTURE OUT` segments one and prints the peak memory of its process.
"""

import json
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

from iic.core.errors import InputError
from iic.core.files import write_text
from iic.pipeline.costs import peak_memory
from iic.segmentation.paths import MODEL, RESULTS
from tools.bench.segmentation import read_results
from tools.command import run_main, run_module

# Width and height: that of the Blue Marble, and the largest one that is read.
SIZES = ((5400, 2700), (10_000, 10_000))
# Pixels of one value along each axis; noise of single pixels would hardly compress.
_GRAIN = 20


def measure(width: int, height: int, folder: Path) -> dict[str, float]:
    """Segment a colour picture in a process of its own.

    Args:
        width: Width of the picture in pixels, a multiple of 20.
        height: Height of the picture in pixels, a multiple of 20.
        folder: Empty folder for the picture and what is written for it.

    Returns:
        `seconds` of the process, and its `peak_mb`.
    """
    coarse = np.random.default_rng(0).integers(
        0, 256, (height // _GRAIN, width // _GRAIN, 3), np.uint8
    )
    picture = folder / "picture.png"
    Image.fromarray(coarse).resize((width, height), Image.Resampling.NEAREST).save(picture)
    start = time.perf_counter()
    said = run_module("tools.bench.pictures", "one", str(picture), str(folder / "out"))
    seconds = time.perf_counter() - start
    return {"seconds": round(seconds, 1), "peak_mb": round(float(said.splitlines()[-1]))}


def main(arguments: list[str]) -> None:
    """Measure all sizes, or segment one picture."""
    match arguments:
        case ["one", picture, out]:
            from iic.serving.segment import segment_files

            segment_files([Path(picture)], Path(out), MODEL, force=False)
            sys.stdout.write(f"{peak_memory()}\n")
        case []:
            results = read_results() | {"pictures": {}}
            for width, height in SIZES:
                with tempfile.TemporaryDirectory() as folder:
                    row = measure(width, height, Path(folder))
                sys.stderr.write(f"{width}×{height}: {row}\n")
                results["pictures"][f"{width}×{height}"] = row
            write_text(RESULTS, json.dumps(results, indent=2) + "\n")
        case _:
            raise InputError("python -m tools.bench.pictures takes no argument")


if __name__ == "__main__":
    run_main(main)
