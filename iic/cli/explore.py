"""`iic explore`: a page to look inside the clusters."""

from pathlib import Path

import click

from iic.cli.options import model_option
from iic.pipeline.quiet import quiet


@click.command(short_help="Write a page to look into the clusters.")
@model_option
@click.option(
    "--split",
    type=click.Choice(["test", "train"]),
    default="test",
    show_default=True,
    help="Which images to show.",
)
@click.option(
    "--limit",
    # The page keeps all images in one picture, and phones refuse to draw much larger ones.
    type=click.IntRange(1, 20_000),
    default=10_000,
    show_default=True,
    help="Of more images an even sample is shown.",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    default=Path("reports/explore.html"),
    show_default=True,
    help="File to write.",
)
def explore(model: Path, split: str, limit: int, out: Path) -> None:
    """Write a page to look inside the clusters: a map of the images, and groups to name.

    It shows the images of data/images.npz as the model sees them, with the labels of
    data/labels.npz if there are any. Open it in any browser; it needs nothing else. The groups of
    images that you name there can be saved as a CSV file.
    """
    # Here, since `iic --help` needs none of it.
    with quiet():
        from iic.serving.explore import write_page

    write_page(model, split, limit, out)
    click.echo(out)
