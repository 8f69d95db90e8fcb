"""Stage 1: count the files of data.path; without them the run ends here, before it loses outputs.

DVC removes the outputs of a stage whose input is missing, without running it. The images of the
last run belong to `download`, which therefore comes after this stage.
"""

import json
from pathlib import Path

from iic.core.files import write_text
from iic.core.links import count_suffixes
from iic.core.params import Params
from iic.pipeline.paths import SOURCE
from iic.pipeline.stage import run


def main(params: Params) -> None:
    """Write the number of files by suffix."""
    counts = count_suffixes(Path(params.data.path))
    write_text(SOURCE, json.dumps(counts, indent=2, sort_keys=True) + "\n")


if __name__ == "__main__":
    run(main)
