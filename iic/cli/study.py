"""`iic study`: run a grid of variants and check claims about them."""

from pathlib import Path

import click

from iic.cli.errors import queue_errors
from iic.cli.options import again_option, jobs_option


@click.command(short_help="Run a grid of variants and seeds; write a page.")
@click.argument("grid", type=click.Path(path_type=Path))
@jobs_option
@again_option
def study(grid: Path, jobs: int, again: bool) -> None:
    """Run the missing experiments of GRID, a file in studies/, and write a page about it.

    The experiments run in DVC's queue. Results go to reports/studies/: NAME.csv has one row per
    run, NAME-curves.csv one row per epoch, and NAME.md compares the variants and checks the claims
    that GRID makes about them. Experiments that the tables already have are not run.
    """
    from iic.experiments.study import run_study

    with queue_errors():
        paths = run_study(grid, jobs, again=again)
    click.echo(paths.page)
