"""Run a grid on a Ray cluster, or with Ray on this machine: `iic sweep`.

Each experiment runs in a clone of the committed state and is published to the Git repository and
the DVC remote. What can be seen there is finished, whoever asks and whenever.
"""

import os
import subprocess
import sys
from collections.abc import Sequence
from configparser import ConfigParser, Error
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from iic.core.errors import InputError
from iic.core.files import read_text, write_text
from iic.experiments.grid import Experiment, experiments_of, read_grid
from iic.experiments.sweep.cluster import (
    Needs,
    check_installed,
    connected,
    place_of,
    prepare_machines,
    run_tasks,
)
from iic.experiments.sweep.progress import Progress
from iic.experiments.sweep.task import (
    SHARED_STAGES,
    Outcome,
    Source,
    Task,
    environment,
    installed,
    masked,
)
from iic.report.paths import BENCHMARK

_CONFIG = Path(".dvc/config")
# What decides a result beside the options of an experiment.
_STATE = (
    "iic", "stages", "dvc.yaml", "dvc.lock", "params.yaml", str(BENCHMARK), str(_CONFIG)
)  # fmt: skip
# A worker with others of these would give other results.
_PACKAGES = [
    "dvc", "keras", "matplotlib", "numpy", "pillow", "scikit-learn", "scipy", "tensorflow"
]  # fmt: skip
_ORIGIN = "origin"
LOGS = Path(".dvc/tmp/sweep")
_SHOWN_LINES = 15


@dataclass(frozen=True)
class Settings:
    """How a sweep runs.

    Attributes:
        cluster: address of Ray's head; None = Ray on this machine.
        needs: of each task.
        git_remote: name of the Git remote that the machines share; None = origin.
        remote: name of the DVC remote that they share; None = the default one.
        scratch: folder for clones on each machine; None = the system's.
        run_cache: whether trainings that the DVC remote knows are taken from there.
    """

    cluster: str | None
    needs: Needs
    git_remote: str | None = None
    remote: str | None = None
    scratch: str | None = None
    run_cache: bool = True


def sweep(path: Path, settings: Settings, *, dry_run: bool = False) -> None:
    """Run what is missing of a grid and bring all of it here.

    Args:
        path: a file in studies/.
        settings: where and how.
        dry_run: only print what would run.

    Raises:
        InputError: the grid, the repository or a remote is not fit for it, before any work; or
            experiments have failed, after all others have finished.
    """
    experiments = experiments_of(read_grid(path), path)
    _check(settings)
    if not dry_run:
        check_installed()
    source = source_of(settings)
    finished = finished_in(source)
    missing = [e for e in experiments if e.name not in finished]
    _say(
        f"{len(experiments)} experiments on {source.commit[:7]}: {len(experiments) - len(missing)} "
        f"have results, {len(missing)} to run"
    )
    if dry_run:
        for experiment in missing:
            sys.stdout.write(f"{experiment.name} {' '.join(experiment.options)}\n")
        return
    failed = _run(missing, source, settings) if missing else []
    for outcome in failed:
        last = outcome.log.rstrip().splitlines()[-_SHOWN_LINES:]
        _say("\n".join([f"\n{outcome.name}:", *(f"    {line}" for line in last)]))
    if settings.cluster is not None:
        gone = {outcome.name for outcome in failed}
        _pull([e.name for e in experiments if e.name not in gone], source, settings)
    if failed:
        names = ", ".join(outcome.name for outcome in failed)
        raise InputError(f"failed: {names}; logs are in {LOGS}/, all others are finished")


def _check(settings: Settings) -> None:
    """Raise InputError for settings that would have no effect, or another one on each machine."""
    if settings.cluster == "":
        raise InputError("--cluster: an address is missing, such as 10.0.0.1:6379")
    for option, value in (("--git-remote", settings.git_remote), ("--remote", settings.remote)):
        if settings.cluster is None and value is not None:
            raise InputError(f"{option} {value}: only with --cluster; on one machine none is used")
    if settings.scratch is not None and not Path(settings.scratch).is_absolute():
        raise InputError(
            f"--scratch {settings.scratch}: give the whole path, it is for all machines"
        )
    gpus = settings.needs.gpus
    if gpus is not None and gpus != int(gpus) and not 0.01 <= gpus < 1:
        raise InputError(f"--gpus {gpus:g}: a whole number, or a share of one GPU from 0.01")


def source_of(settings: Settings) -> Source:
    """Where tasks get code and data; raises InputError if that is not what is here."""
    changed = _git("status", "--porcelain", "--", *_STATE).splitlines()
    if changed:
        raise InputError(
            f"{changed[0][3:]}: not committed; a sweep runs what is committed, so `git commit` or "
            "`git stash` it first"
        )
    commit = _git("rev-parse", "HEAD").strip()
    if settings.cluster is None:
        # A cache has the layout of a remote, so on one machine it is one.
        cache = str(Path(_dvc("cache", "dir").strip()).absolute())
        return Source(_folder_url(Path.cwd()), commit, "cache", cache, settings.run_cache)
    git = _git_url(settings.git_remote or _ORIGIN, commit)
    return Source(git, commit, _remote(settings.remote), run_cache=settings.run_cache)


def _folder_url(folder: Path) -> str:
    """As a URL, since a shallow clone of a plain path is a whole one; DVC decodes no escapes."""
    if set(str(folder)) & set("%#?"):
        raise InputError(f"{folder}: %, # and ? mean something else in a URL; rename the folder")
    return f"file://{folder.absolute()}"


def _git_url(remote: str, commit: str) -> str:
    if remote not in _git("remote").split():
        raise InputError(
            f"--git-remote {remote}: no such Git remote, through which the machines get the code; "
            "`git remote add` one, or name another"
        )
    _git("fetch", "--quiet", remote)
    if not _git("branch", "--remotes", "--contains", commit, "--list", f"{remote}/*").strip():
        raise InputError(
            f"commit {commit[:7]}: not on {remote}, where the machines look; `git push`"
        )
    # As written: a rule that puts a token into it is this machine's.
    url = _git("config", "--get", f"remote.{remote}.url").strip()
    if urlsplit(url).password:
        raise InputError(
            f"--git-remote {remote}: its URL holds a password, which would travel to all machines; "
            "leave it out and give each machine a credential helper"
        )
    return _folder_url(Path(url)) if Path(url).is_dir() else url


def _remote(name: str | None) -> str:
    """Name of the DVC remote, if machines that clone the repository would find it."""
    # As written: DVC itself tells no whole path from one that it has made whole.
    config = ConfigParser(interpolation=None)
    try:
        config.read_string(read_text(_CONFIG, "restore it", "save it as UTF-8"))
    except Error as error:
        raise InputError(f"{_CONFIG}: damaged; `git restore {_CONFIG}` brings it back") from error
    chosen = name or config.get("core", "remote", fallback=None)
    if not chosen:
        raise InputError(
            "no DVC remote in .dvc/config, through which the machines share results; "
            "docs/sharing.md tells how to add one"
        )
    url = config.get(f"'remote \"{chosen}\"'", "url", fallback=None)
    if url is None:
        raise InputError(
            f"DVC remote {chosen}: not in .dvc/config, so other machines do not know it; "
            f"`dvc remote add {chosen} URL` and commit the file"
        )
    url = url.strip("'\"")
    if url.startswith(("http://", "https://")):
        raise InputError(
            f"DVC remote {chosen}: {url} can only be read; docs/sharing.md names kinds that take "
            "results"
        )
    if "://" not in url and not Path(url).is_absolute():
        raise InputError(
            f"DVC remote {chosen}: {url} would be another folder in each clone; give its whole path"
        )
    return chosen


def finished_in(source: Source) -> set[str]:
    """Names of the commit's experiments that are published."""
    lines = _git("ls-remote", source.git, source.reference()).splitlines()
    return {line.rpartition("/")[2] for line in lines}


def _run(missing: Sequence[Experiment], source: Source, settings: Settings) -> list[Outcome]:
    """Run experiments; return those that have failed, whose logs are then in LOGS."""
    for old in LOGS.glob("*.log"):
        old.unlink()
    if settings.cluster is not None:
        # What the tasks would else make anew; and whether the remote lets us in.
        _dvc("push", "--remote", source.remote, *SHARED_STAGES)
    failed = []
    with connected(settings.cluster) as ray:
        place = place_of(ray, settings.needs, settings.scratch, installed(_PACKAGES))
        prepare_machines(ray, source, place, settings.needs)
        wanted = [Task(e.name, tuple(e.options), source, place) for e in missing]
        progress = Progress(len(wanted))
        with progress.shown():
            for outcome in run_tasks(ray, wanted, settings.needs, progress.update):
                progress.end(outcome)
                if outcome.status == "failed":
                    failed.append(outcome)
                    write_text(LOGS / f"{outcome.name}.log", outcome.log)
    return failed


def _pull(names: Sequence[str], source: Source, settings: Settings) -> None:
    """Bring experiments here, with all that they have in the DVC remote."""
    _say(f"pulling {len(names)} experiments; `dvc exp show` lists them")
    options = ["--remote", source.remote, *(["--run-cache"] if source.run_cache else [])]
    # A command line has room for so many names. Those that are here may lack what a pull that was
    # cut off did not bring.
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
        said = " ".join((done.stderr or done.stdout).split())
        raise InputError(masked(f"{' '.join(words[:3])}: {said}"))
    return done.stdout
