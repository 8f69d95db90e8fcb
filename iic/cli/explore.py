"""`iic explore`: a page to look inside the clusters."""

from pathlib import Path

import click

from iic.cli.options import model_option
from iic.core.quiet import quiet


@click.command(short_help="Write a page to look inside the clusters.")
@model_option
@click.option(
    "--split",
    type=click.Choice(["test", "train"]),
    default="test",
    help="Which images to show.",
)
@click.option(
    "--limit",
    metavar="N",
    # All images are one sprite on the page, and phones refuse to draw a much larger one.
    type=click.IntRange(1, 20_000),
    default=10_000,
    help="Largest number of images; a larger split is sampled evenly.",
)
@click.option(
    "--out",
    metavar="FILE",
    type=click.Path(path_type=Path),
    default=Path("reports/explore.html"),
    help="HTML file to write.",
)
def explore(model: Path, split: str, limit: int, out: Path) -> None:
    """Write a page to look inside the clusters: a map of the images, and groups to name.

    The page shows the images of data/images.npz as the model clusters them, with the labels of
    data/labels.npz if there are any. It needs nothing else and opens in any browser. Groups of
    images that you name there can be saved as a CSV file.
    """
    # TensorFlow takes seconds to import, which `iic --help` should not.
    with quiet():
        from iic.serving.explore import write_page

    write_page(model, split, limit, out)
    click.echo(out)
