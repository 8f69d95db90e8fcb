"""Refuse a mistake in params.yaml before DVC reads it: `python -m experiments.check`.

DVC reads the file before any stage does. It has no eye for a key that nobody knows while nothing
else has changed, and a few aliases of aliases take all of its memory.
"""

from experiments.cli import run_main
from stages.common import PARAMS, read_params


def main(arguments: list[str]) -> None:  # noqa: ARG001 - there are none
    """Say nothing if params.yaml is valid."""
    read_params(PARAMS)


if __name__ == "__main__":
    run_main(main)
