"""`iic seeds`: run a recipe with several seeds."""

import click

from iic.cli.options import again_option


@click.command(short_help="Run a recipe with several seeds.")
@click.argument("recipe", default="default")
@click.option(
    "--count", metavar="N", type=click.IntRange(1), default=3, help="Number of seeds to run."
)
@click.option("--first", metavar="SEED", type=click.IntRange(0), default=0, help="First seed.")
@again_option
def seeds(recipe: str, count: int, first: int, again: bool) -> None:
    """Run RECIPE with several seeds and add the results to reports/seeds/RECIPE.csv.

    RECIPE is the name of a file in recipes/, or "default", the parameters in params.yaml. Each
    seed is a DVC experiment in a temporary folder, so the workspace stays as it is. Seeds that the
    table already has are skipped, unless the recipe's parameters or your own images have changed.
    """
    from iic.experiments.seeds import run_seeds

    run_seeds(recipe, first, count, again=again)
