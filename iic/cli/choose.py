"""`iic choose`: compare numbers of clusters."""

import click

from iic.cli.errors import queue_errors
from iic.cli.options import again_option, jobs_option, set_option


@click.command(short_help="Compare numbers of clusters, without labels.")
@click.argument("numbers", nargs=-1, required=True, type=click.IntRange(2), metavar="K...")
@click.option(
    "--recipe", metavar="NAME", default="default", help="Recipe that all trainings start from."
)
@set_option
@click.option(
    "--pairs", metavar="N", type=click.IntRange(1), default=1, help="Pairs of seeds for each K."
)
@jobs_option
@again_option
def choose(
    numbers: tuple[int, ...],
    recipe: str,
    settings: tuple[str, ...],
    pairs: int,
    jobs: int,
    again: bool,
) -> None:
    """Compare numbers of clusters, K, without labels.

    Trains pairs of seeds for each K in DVC's queue, prints a table, and writes
    reports/studies/choose-k.csv and choose-k.png. A good K has high mutual information and high
    stability, the agreement of two seeds. If K is too small, different images share a cluster; if
    it is too large, clusters are split arbitrarily, differently for each seed. Trainings that have
    results already are not run.
    """
    from iic.experiments.choose import choose_k

    with queue_errors():
        choose_k(numbers, recipe, settings, pairs, jobs, again)
