"""`iic choose`: how many clusters?"""

import click


@click.command(short_help="Compare numbers of clusters, without labels.")
@click.argument("numbers", nargs=-1, required=True, type=click.IntRange(2), metavar="K...")
@click.option("--recipe", default="default", show_default=True, help="A file in recipes/.")
@click.option(
    "-S", "--set", "settings", multiple=True, metavar="KEY=VALUE", help="As in `dvc exp run`."
)
@click.option(
    "--pairs", type=click.IntRange(1), default=1, show_default=True, help="Of seeds, for each K."
)
@click.option(
    "--jobs", type=click.IntRange(1), default=1, show_default=True, help="Trainings at once."
)
@click.option("--again", is_flag=True, help="Train also what has been trained.")
def choose(
    numbers: tuple[int, ...],
    recipe: str,
    settings: tuple[str, ...],
    pairs: int,
    jobs: int,
    again: bool,
) -> None:
    """Compare numbers of clusters, K, without labels.

    Trains two seeds for each K, through DVC's queue, and writes reports/studies/choose-k.csv and
    reports/studies/choose-k.png: mutual information, and how far both seeds agree. A good K has
    both: too small, and images that differ share a cluster; too large, and clusters are split
    in a way that the next seed does otherwise. What has been trained is not trained again.
    """
    from iic.experiments.choose import choose as run_choose

    run_choose(numbers, recipe, settings, pairs, jobs, again)
