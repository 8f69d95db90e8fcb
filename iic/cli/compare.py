"""`iic compare`: a page that compares runs."""

from pathlib import Path

import click


@click.command(short_help="Write a page that compares several runs.")
@click.argument("runs", nargs=-1, required=True, metavar="RUN RUN...")
@click.option(
    "--out",
    metavar="FILE",
    type=click.Path(path_type=Path),
    default=Path("reports/compare.html"),
    help="HTML file to write.",
)
def compare(runs: tuple[str, ...], out: Path) -> None:
    """Write a page that compares two or more runs.

    RUN is an experiment as `dvc exp show` names it, a commit, or "workspace" for the results in
    this folder. The page shows the parameters that differ, metrics, learning curves, confusion
    matrices, and the test images that the runs assign to different classes. It needs nothing else
    and opens in any browser.
    """
    names = list(dict.fromkeys(runs))
    if len(names) < 2:
        raise click.UsageError("name two different runs or more, for example: HEAD workspace")
    from iic.experiments.compare import write_comparison

    write_comparison(names, out)
    click.echo(out)
