"""`iic sweep`: a grid on several machines."""

from pathlib import Path

import click


@click.command(short_help="Run a grid on several machines.")
@click.argument("grid", type=click.Path(path_type=Path))
@click.option(
    "--cluster",
    metavar="ADDRESS",
    help="Ray's head, such as 10.0.0.1:6379 or ray://10.0.0.1:10001; without it, Ray runs here.",
)
@click.option("--cores", type=click.IntRange(1), default=1, show_default=True, help="Of each task.")
@click.option(
    "--memory",
    type=click.FloatRange(0.1),
    # `make bench` measures 2.2 GB at most, for an alternative method; trainings stay below 2.
    default=3.0,
    show_default=True,
    help="Of each task, in GB.",
)
@click.option(
    "--gpus",
    type=click.FloatRange(0),
    help="Of each task, or a share of one; by default one where the cluster has any.",
)
@click.option(
    "--retries",
    type=click.IntRange(0),
    default=3,
    show_default=True,
    help="How often a task is tried again after its machine was lost.",
)
@click.option("--git-remote", help="Git remote that all machines share; by default origin.")
@click.option("--remote", help="DVC remote that all machines share; by default the default one.")
@click.option(
    "--scratch", metavar="DIR", help="For clones, on each machine; by default below /tmp."
)
@click.option(
    "--run-cache/--no-run-cache",
    default=True,
    help="Whether to look for each training in the DVC remote's run-cache; not for thousands.",
)
@click.option("--dry-run", is_flag=True, help="Only print what would run.")
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
    """Run what is missing of GRID, a file in studies/, on several machines.

    Each experiment runs in a clone of the commit that is checked out here. What is finished is on
    the Git and the DVC remote and never runs again; run the same command again after an
    interruption. docs/scaling.md tells how to start a cluster.
    """
    # Here, since other subcommands need neither DVC nor Ray.
    from iic.experiments.sweep.cluster import Needs
    from iic.experiments.sweep.driver import SweepSettings, run_sweep

    needs = Needs(cores, memory, gpus, retries)
    settings = SweepSettings(cluster, needs, git_remote, remote, scratch, run_cache)
    run_sweep(grid, settings, dry_run=dry_run)
