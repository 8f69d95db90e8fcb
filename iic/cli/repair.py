"""`iic repair`: repair Git's and DVC's files after a kill or a disk failure."""

import click


@click.command(short_help="Repair DVC's files after a kill or a disk failure.")
@click.option(
    "--all",
    "everything",
    is_flag=True,
    help="Check all of DVC's cache, not only the files in dvc.lock.",
)
def repair(everything: bool) -> None:
    """Repair DVC's files after a kill or a disk failure.

    Restores DVC's lock files if they are half-written, removes locks of DVC and Git whose processes
    have ended, and removes damaged files from DVC's cache; `dvc repro` then makes them again.
    Brings changes back that DVC left in `git stash` when it was killed, or names them. `make repro`
    runs this command first.
    """
    from iic.experiments.repair import repair_repository

    repair_repository(everything=everything)
