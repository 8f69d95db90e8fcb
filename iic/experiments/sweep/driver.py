"""Driver of `iic sweep`: runs a grid on a Ray cluster, or with Ray on this machine.

Each experiment runs in a clone of the commit and publishes its results to the Git repository and
the DVC remote. A published experiment is complete; it does not run again for the same commit, nor
once the table of the study has it.
"""

import math
import os
import subprocess
import sys
from collections.abc import Collection, Sequence
from configparser import ConfigParser, Error
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import urlsplit

from iic.core.errors import InputError
from iic.core.files import read_text, write_text
from iic.core.plurals import counted
from iic.experiments.checks import check_data, check_repository
from iic.experiments.git import git_folders
from iic.experiments.grid import Experiment, Grid, experiments_of, read_grid
from iic.experiments.sweep.cluster import (
    Needs,
    check_ray_installed,
    connected,
    place_of,
    prepare_machines,
    run_tasks,
)
from iic.experiments.sweep.progress import Progress
from iic.experiments.sweep.task import (
    SHARED_STAGES,
    Checkout,
    Outcome,
    Task,
    environment,
    installed,
    masked,
)
from iic.report.paths import BENCHMARK

_CONFIG = Path(".dvc/config")
# Paths that affect a result, in addition to the options of an experiment.
_STATE = (
    "iic", "stages", "dvc.yaml", "dvc.lock", "params.yaml", str(BENCHMARK), str(_CONFIG)
)  # fmt: skip
# Packages whose versions affect a result.
_PACKAGES = [
    "dvc", "keras", "matplotlib", "numpy", "pillow", "scikit-learn", "scipy", "tensorflow"
]  # fmt: skip
_ORIGIN = "origin"
LOGS = Path(".dvc/tmp/sweep")
_SHOWN_LINES = 15


@dataclass(frozen=True)
class SweepSettings:
    """Settings of a sweep.

    Attributes:
        cluster: Address of the cluster's head; None = Ray on this machine.
        needs: Resources of one task.
        git_remote: Name of the Git remote that the machines share; None = origin.
        remote: Name of the DVC remote that the machines share; None = the default remote.
        scratch: Folder for clones on each machine; None = the system's temporary folder.
        run_cache: Whether to reuse trainings from the run-cache of the DVC remote.
    """

    cluster: str | None
    needs: Needs
    git_remote: str | None = None
    remote: str | None = None
    scratch: str | None = None
    run_cache: bool = True


def run_sweep(path: Path, settings: SweepSettings, *, dry_run: bool = False) -> None:
    """Run the missing experiments of a grid and pull the results that its table lacks.

    Args:
        path: Grid, a YAML file in studies/.
        settings: Settings of the sweep.
        dry_run: Whether to only print the missing experiments.

    Raises:
        InputError: The grid, the repository or a remote cannot be used, raised before any work; or
            experiments have failed, raised after all others have finished.
    """
    grid = read_grid(path)
    experiments = experiments_of(grid, path)
    _check(settings)
    check_repository()
    check_data((e.params for e in experiments), elsewhere=settings.cluster is not None)
    if not dry_run:
        check_ray_installed()
    checkout = checkout_of(settings)
    recorded = _recorded(grid, path)
    wanted = [e for e in experiments if e.name not in recorded]
    finished = finished_in(checkout)
    missing = [e for e in wanted if e.name not in finished]
    _say(
        f"{counted(len(experiments), 'experiment')} on {checkout.commit[:7]}: "
        f"{len(experiments) - len(missing)} have results, {len(missing)} to run"
    )
    if dry_run:
        for experiment in missing:
            sys.stdout.write(f"{experiment.name} {' '.join(experiment.options)}\n")
        return
    failed = _run(missing, checkout, settings) if missing else []
    for outcome in failed:
        last = outcome.log.rstrip().splitlines()[-_SHOWN_LINES:]
        _say("\n".join([f"\n{outcome.name}:", *(f"    {line}" for line in last)]))
    gone = {outcome.name for outcome in failed}
    published = [e.name for e in wanted if e.name not in gone]
    if settings.cluster is not None and published:
        _pull(published, checkout, settings)
    if failed:
        names = ", ".join(outcome.name for outcome in failed)
        raise InputError(
            f"failed: {names}; logs are in {LOGS}/; all other experiments have finished"
        )


def _check(settings: SweepSettings) -> None:
    """Raise an InputError for settings that have no effect or differ between machines."""
    if settings.cluster == "":
        raise InputError("--cluster: the address is missing, for example 10.0.0.1:6379")
    for option, value in (("--git-remote", settings.git_remote), ("--remote", settings.remote)):
        if settings.cluster is None and value is not None:
            raise InputError(f"{option} {value}: only valid with --cluster; leave it out")
    if settings.scratch is not None and not Path(settings.scratch).is_absolute():
        raise InputError(
            f"--scratch {settings.scratch}: must be an absolute path, which all machines use"
        )
    gpus, memory = settings.needs.gpus, settings.needs.memory
    for option, amount in (("--gpus", gpus), ("--memory", memory)):
        if amount is not None and not math.isfinite(amount):
            raise InputError(f"{option} {amount}: must be a finite number, such as 1")
    if gpus is not None and gpus != int(gpus) and not 0.01 <= gpus < 1:
        raise InputError(f"--gpus {gpus:g}: must be an integer, or a fraction from 0.01 to 1")


def checkout_of(settings: SweepSettings) -> Checkout:
    """Determine the commit and the remotes that the tasks use.

    Raises:
        InputError: Changes are not committed or not pushed, or the machines could not reach a
            remote.
    """
    folders = git_folders()
    changed = _git("status", "--porcelain", "--", *_STATE).splitlines()
    if changed:
        file = changed[0][3:].removeprefix(folders.prefix)
        raise InputError(
            f"{file}: not committed; a sweep runs the commit, so `git commit` or `git stash` the "
            "change first"
        )
    commit = _git("rev-parse", "HEAD").strip()
    if settings.cluster is None:
        # The DVC cache has the layout of a remote, so it serves as one.
        cache = str(Path(_dvc("cache", "dir").strip()).absolute())
        checkout = Checkout(_folder_url(folders.top), commit, "cache", cache)
    else:
        git = _git_url(settings.git_remote or _ORIGIN, commit)
        checkout = Checkout(git, commit, _remote(settings.remote))
    return replace(checkout, run_cache=settings.run_cache, prefix=folders.prefix)


def _folder_url(folder: Path) -> str:
    """Return a folder as a URL, since Git ignores --depth for a path; DVC decodes no escapes."""
    if set(str(folder)) & set("%#?"):
        raise InputError(f"{folder}: %, # and ? have a special meaning in URLs; rename the folder")
    return f"file://{folder.absolute()}"


def _git_url(remote: str, commit: str) -> str:
    if remote not in _git("remote").split():
        raise InputError(
            f"--git-remote {remote}: no such Git remote; the machines clone from it, so add it "
            "with `git remote add` or name another"
        )
    _git("fetch", "--quiet", remote)
    if not _git("branch", "--remotes", "--contains", commit, "--list", f"{remote}/*").strip():
        raise InputError(
            f"commit {commit[:7]}: not on {remote}, from which the machines clone; run `git push`"
        )
    # The URL as written, since `insteadOf` rules of this machine may add a token to it.
    url = _git("config", "--get", f"remote.{remote}.url").strip()
    if urlsplit(url).password:
        raise InputError(
            f"--git-remote {remote}: the URL contains a password, which would be sent to all "
            "machines; remove it and set up a credential helper on each machine"
        )
    return _folder_url(Path(url)) if Path(url).is_dir() else url


def _remote(name: str | None) -> str:
    """Return the name of the DVC remote; raise an InputError if a clone could not use it."""
    # The file as written, since DVC makes relative paths absolute when it reads the file.
    config = ConfigParser(interpolation=None)
    try:
        config.read_string(read_text(_CONFIG, "restore it", "save it as UTF-8"))
    except Error as error:
        raise InputError(f"{_CONFIG}: damaged; run `git restore {_CONFIG}`") from error
    chosen = name or config.get("core", "remote", fallback=None)
    if not chosen:
        raise InputError(
            "no DVC remote in .dvc/config; the machines share results through it, and "
            "docs/sharing.md describes how to add one"
        )
    url = config.get(f"'remote \"{chosen}\"'", "url", fallback=None)
    if url is None:
        raise InputError(
            f"DVC remote {chosen}: not in .dvc/config, which the machines read; run "
            f"`dvc remote add {chosen} URL` and commit the file"
        )
    url = url.strip("'\"")
    if url.startswith(("http://", "https://")):
        raise InputError(
            f"DVC remote {chosen}: {url} is read-only; docs/sharing.md lists writable remotes"
        )
    if "://" not in url and not Path(url).is_absolute():
        raise InputError(
            f"DVC remote {chosen}: {url} is another folder in each clone; use an absolute path"
        )
    return chosen


def _recorded(grid: Grid, path: Path) -> Collection[str]:
    """Return the names of the experiments that the tables of the study have, of any commit."""
    # Imported here, since it takes seconds, which the command would need to refuse a setting.
    from iic.experiments.study import files_of_study
    from iic.experiments.tables import read_results

    files = files_of_study(grid, path)
    return read_results(files.table, files.curves).keys()


def finished_in(checkout: Checkout) -> set[str]:
    """Return the names of the published experiments of the commit."""
    lines = _git("ls-remote", checkout.git, checkout.reference()).splitlines()
    return {line.rpartition("/")[2] for line in lines}


def _run(
    missing: Sequence[Experiment], checkout: Checkout, settings: SweepSettings
) -> list[Outcome]:
    """Run experiments; return the failed outcomes and write their logs to LOGS."""
    for old in LOGS.glob("*.log"):
        old.unlink()
    if settings.cluster is not None:
        # Saves the tasks from computing these stages, and fails early without write access.
        _dvc("push", "--remote", checkout.remote, *SHARED_STAGES)
    failed = []
    with connected(settings.cluster) as ray:
        place = place_of(ray, settings.needs, settings.scratch, installed(_PACKAGES))
        prepare_machines(ray, checkout, place, settings.needs)
        wanted = [Task(e.name, tuple(e.options), checkout, place) for e in missing]
        progress = Progress(len(wanted))
        with progress.shown():
            for outcome in run_tasks(ray, wanted, settings.needs, progress.update):
                progress.end(outcome)
                if outcome.status == "failed":
                    failed.append(outcome)
                    write_text(LOGS / f"{outcome.name}.log", outcome.log)
    return failed


def _pull(names: Sequence[str], checkout: Checkout, settings: SweepSettings) -> None:
    """Pull experiments with their files from the DVC remote."""
    _say(f"pulling {counted(len(names), 'experiment')}; `dvc exp show` lists them")
    options = ["--remote", checkout.remote, *(["--run-cache"] if checkout.run_cache else [])]
    # In parts, since the length of a command line is limited. Experiments that are already here
    # are pulled too, since an interrupted pull may have left files out.
    for some in (names[i : i + 500] for i in range(0, len(names), 500)):
        _dvc("exp", "pull", *options, settings.git_remote or _ORIGIN, *some)


def _say(line: str) -> None:
    sys.stderr.write(f"{line}\n")


def _git(*words: str) -> str:
    return _command("git", *words)


def _dvc(*words: str) -> str:
    return _command("dvc", *words)


def _command(*words: str) -> str:
    done = subprocess.run(  # noqa: S603 - a list, no shell
        words, capture_output=True, text=True, check=False, env=os.environ | environment()
    )
    if done.returncode != 0:
        printed = " ".join((done.stderr or done.stdout).split())
        raise InputError(masked(f"{' '.join(words[:3])}: {printed}"))
    return done.stdout
