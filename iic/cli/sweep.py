"""`iic sweep`: a grid on several machines."""

from pathlib import Path

import click


@click.command(short_help="Run a grid on several machines.")
@click.argument("grid", type=click.Path(path_type=Path))
@click.option(
    "--cluster",
    metavar="ADDRESS",
    help="Address of Ray's head, such as 10.0.0.1:6379 or ray://10.0.0.1:10001.  [default: start "
    "Ray on this machine]",
)
@click.option(
    "--cores", metavar="N", type=click.IntRange(1), default=1, help="Processor cores per task."
)
@click.option(
    "--memory",
    metavar="GB",
    type=click.FloatRange(0.1),
    # `make bench` measures at most 2.2 GB, for an alternative method; trainings stay below 2.
    default=3.0,
    help="Memory per task, in GB.",
)
@click.option(
    "--gpus",
    metavar="N",
    type=click.FloatRange(0),
    help="GPUs per task; may be fractional.  [default: 1 if the cluster has any]",
)
@click.option(
    "--retries",
    metavar="N",
    type=click.IntRange(0),
    default=3,
    help="Number of further tries after a task has lost its machine.",
)
@click.option(
    "--git-remote",
    metavar="NAME",
    help="Git remote that all machines can reach.  [default: origin]",
)
@click.option(
    "--remote",
    metavar="NAME",
    help="DVC remote that all machines can reach.  [default: DVC's default remote]",
)
@click.option(
    "--scratch",
    metavar="DIR",
    help="Folder for clones on each machine, an absolute path.  [default: below /tmp]",
)
@click.option(
    "--run-cache/--no-run-cache",
    default=True,
    help="Whether to look for each training in the DVC remote's run-cache; slow with thousands.",
)
@click.option("--dry-run", is_flag=True, help="Print what would run, and run nothing.")
def sweep(
    grid: Path,
    cluster: str | None,
    cores: int,
    memory: float,
    gpus: float | None,
    retries: int,
    git_remote: str | None,
    remote: str | None,
    scratch: str | None,
    run_cache: bool,
    dry_run: bool,
) -> None:
    """Run the missing experiments of GRID, a file in studies/, on several machines.

    Each experiment runs in a clone of the commit that is checked out here, and its results are
    published in Git and DVC. Experiments that have finished on this commit, or that the table of
    `iic study` has, do not run again: after an interruption, run the same command again. `iic
    study GRID` then writes the page. docs/scaling.md explains how to start a cluster.
    """
    from iic.experiments.sweep.cluster import Needs
    from iic.experiments.sweep.driver import SweepSettings, run_sweep

    needs = Needs(cores, memory, gpus, retries)
    settings = SweepSettings(cluster, needs, git_remote, remote, scratch, run_cache)
    run_sweep(grid, settings, dry_run=dry_run)
