"""`iic recipe`: list, print or run recipes."""

import click

from iic.cli.options import set_option

_HELP = """\
List the recipes, print recipe NAME as options of `dvc exp run`, or run it.

A recipe is a file in recipes/ that overrides some of the parameters in params.yaml, or one in
segmentation/recipes/ for segmentation/params.yaml; "default" overrides none.

\b
  iic recipe                                list the recipes
  dvc exp run $(iic recipe fast)            run one in the workspace
  iic recipe fast -S loss.alpha=1.0 --run   run one in a temporary folder

With --run, an earlier experiment NAME is replaced once the new one has finished.
"""


@click.command(help=_HELP, short_help="List recipes, print one as options, or run it.")
@click.argument("name", required=False)
@set_option
@click.option("--run", is_flag=True, help="Run the recipe as the DVC experiment NAME.")
def recipe(name: str | None, settings: tuple[str, ...], run: bool) -> None:
    """List the recipes, print one as options, or run it."""
    from iic.experiments import recipes, segmentation_recipes

    of_segmentation = segmentation_recipes.segmentation_recipes()
    if name is None:
        if settings or run:
            raise click.UsageError("--set and --run need the NAME of a recipe")
        for known, description in (recipes.recipe_descriptions() | of_segmentation).items():
            click.echo(f"{known:<14}{description}")
        return
    if name in of_segmentation:
        if settings or run:
            raise click.UsageError(
                f"--set and --run are for recipes of clustering; dvc exp run $(iic recipe {name}) "
                "-S segmentation/params.yaml:KEY=VALUE"
            )
        params = segmentation_recipes.segmentation_recipe(name)
        click.echo(recipes.shell_words(segmentation_recipes.segmentation_options(params)))
        return
    overrides = recipes.read_settings(settings)
    changed = recipes.with_overrides(recipes.recipe_params(name), overrides, "settings")
    if run:
        from iic.experiments.commands import run_experiment

        run_experiment(name, changed)
    else:
        click.echo(recipes.shell_words(recipes.options_of(changed)))
