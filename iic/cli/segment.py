"""`iic segment`: segments of a user's pictures."""

from pathlib import Path

import click

from iic.cli.options import model_option_at
from iic.core.quiet import quiet
from iic.segmentation.paths import MODEL


@click.command(short_help="Segment your own pictures, pixel by pixel.")
@click.argument("pictures", nargs=-1, required=True, type=click.Path(path_type=Path))
@model_option_at(MODEL)
@click.option(
    "--out",
    metavar="FOLDER",
    type=click.Path(path_type=Path, file_okay=False),
    required=True,
    help="Folder to write into.",
)
@click.option("--force", is_flag=True, help="Replace files that exist already.")
def segment(pictures: tuple[Path, ...], model: Path, out: Path, force: bool) -> None:
    """Segment PICTURES with a network of the segmentation pipeline.

    PICTURES are image files or folders of them, of any size up to 100 megapixels. For each, FOLDER
    gets NAME.png, whose pixels are the numbers of the segments, with a palette, and
    NAME-overlay.png, the picture under the colours of its segments; transparent pixels have the
    number 255. segments.csv lists the size of each segment in each picture. If masks were known at
    evaluation, segments have the names and colours of their classes.
    """
    with quiet():
        from iic.serving.segment import segment_files

    click.echo(str(segment_files(pictures, out, model, force=force)), err=True)
