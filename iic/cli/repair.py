"""`iic repair`: repair Git's and DVC's files after a kill or a disk failure."""

import click


@click.command(short_help="Repair DVC's files after a kill or a disk failure.")
@click.option(
    "--all",
    "everything",
    is_flag=True,
    help="Check all of DVC's cache, not only the files in the lock files.",
)
@click.option(
    "--pipeline",
    type=click.Choice(["clustering", "segmentation"]),
    default="clustering",
    show_default=True,
    help="Check the paths of data in the parameters of this pipeline; all else concerns both.",
)
@click.option(
    "--stage",
    metavar="[PATH:]NAME",
    show_default="all stages",
    help="Only put back the outputs of this stage (of the dvc.yaml at PATH), after it has failed; "
    "stages do this themselves.",
)
def repair(everything: bool, pipeline: str, stage: str | None) -> None:
    """Repair DVC's files after a kill or a disk failure.

    Restores DVC's lock files if they are half-written, removes locks of DVC and Git whose processes
    have ended, removes damaged files from DVC's cache, and puts missing outputs of the last
    successful run back; `dvc repro` then makes the others again. Brings changes back that DVC left
    in `git stash` when it was killed, or names them. Refuses paths of data that DVC cannot read.
    `make repro` and `make segment` run this command first.
    """
    from iic.experiments.repair import repair_repository
    from iic.experiments.restore import restore_failed
    from iic.pipeline.paths import CLUSTERING, SEGMENTATION

    if stage is not None:
        restore_failed(stage)
    else:
        checked = SEGMENTATION if pipeline == "segmentation" else CLUSTERING
        repair_repository(everything=everything, pipeline=checked)
