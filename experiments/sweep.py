"""Run a grid on a Ray cluster, or with Ray on this machine: `iic sweep`.

Each experiment runs in a clone of the committed state and is published to the Git repository and
the DVC remote. What can be seen there is finished, whoever asks and whenever.
"""

import subprocess
import sys
from collections.abc import Sequence
from configparser import ConfigParser
from dataclasses import dataclass
from pathlib import Path

from experiments.cluster import Needs, check_installed, connected, run_tasks
from experiments.grid import Experiment, experiments_of, read_grid
from experiments.progress import Progress
from experiments.task import Outcome, Source, Task, installed
from iic.errors import InputError
from iic.files import read_text, write_text

_CONFIG = Path(".dvc/config")
# What decides a result beside the options of an experiment.
_STATE = ("iic", "stages", "dvc.yaml", "dvc.lock", "params.yaml", str(_CONFIG))
# A worker with others of these would give other results.
_PACKAGES = ["dvc", "keras", "numpy", "tensorflow"]
LOGS = Path(".dvc/tmp/sweep")
_SHOWN_LINES = 15


@dataclass(frozen=True)
class Settings:
    """How a sweep runs.

    Attributes:
        cluster: address of Ray's head; None = Ray on this machine.
        needs: of each task.
        git_remote: name of the Git remote that the machines share.
        remote: name of the DVC remote that they share; None = the default one.
        scratch: folder for clones on each machine; None = the system's.
    """

    cluster: str | None
    needs: Needs
    git_remote: str = "origin"
    remote: str | None = None
    scratch: str | None = None


def sweep(path: Path, settings: Settings, *, dry_run: bool = False) -> None:
    """Run what is missing of a grid and bring all of it here.

    Args:
        path: a file in study/.
        settings: where and how.
        dry_run: only print what would run.

    Raises:
        InputError: the grid, the repository or a remote is not fit for it, before any work; or
            experiments have failed, after all others have finished.
    """
    experiments = experiments_of(read_grid(path), path)
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
    if settings.cluster is not None:
        gone = {outcome.name for outcome in failed}
        _pull([e.name for e in experiments if e.name not in gone], source, settings.git_remote)
    if failed:
        _report(failed)


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
        cache = _dvc("cache", "dir").strip()
        return Source(Path.cwd().as_uri(), commit, "cache", str(Path(cache).absolute()))
    return Source(_git_url(settings.git_remote, commit), commit, _remote(settings.remote))


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
    url = _git("remote", "get-url", remote).strip()
    # A shallow clone of a plain path is a whole one.
    return Path(url).absolute().as_uri() if Path(url).is_dir() else url


def _remote(name: str | None) -> str:
    """Name of the DVC remote, if machines that clone the repository would find it."""
    # As written: DVC itself tells no whole path from one that it has made whole.
    config = ConfigParser(interpolation=None)
    config.read_string(read_text(_CONFIG, "restore it", "save it as UTF-8"))
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
    needs = settings.needs
    packages = installed(_PACKAGES)
    wanted = [
        Task(e.name, tuple(e.options), source, needs.cores, settings.scratch, packages)
        for e in missing
    ]
    failed = []
    progress = Progress(len(wanted))
    with connected(settings.cluster) as ray, progress.shown():
        for outcome in run_tasks(ray, wanted, needs, progress.update):
            progress.end(outcome)
            if outcome.status == "failed":
                failed.append(outcome)
                write_text(LOGS / f"{outcome.name}.log", outcome.log)
    return failed


def _pull(names: Sequence[str], source: Source, git_remote: str) -> None:
    """Bring experiments here, with all that they have in the DVC remote."""
    here = _git("for-each-ref", "--format=%(refname)", source.reference("")).splitlines()
    known = {line.rpartition("/")[2] for line in here}
    lacking = [name for name in names if name not in known]
    if lacking:
        _say(f"pulling {len(lacking)} experiments; `make show` lists them")
    # A command line has room for so many names.
    for some in (lacking[i : i + 500] for i in range(0, len(lacking), 500)):
        _dvc("exp", "pull", "--run-cache", "--remote", source.remote, git_remote, *some)


def _report(failed: Sequence[Outcome]) -> None:
    """Raise InputError after the end of each failed experiment's log."""
    for outcome in failed:
        last = outcome.log.rstrip().splitlines()[-_SHOWN_LINES:]
        _say("\n".join([f"\n{outcome.name}:", *(f"    {line}" for line in last)]))
    names = ", ".join(outcome.name for outcome in failed)
    raise InputError(f"failed: {names}; what they printed is in {LOGS}/, the others are finished")


def _say(line: str) -> None:
    sys.stderr.write(f"{line}\n")


def _git(*words: str) -> str:
    return _command("git", *words)


def _dvc(*words: str) -> str:
    return _command("dvc", *words)


def _command(*words: str) -> str:
    done = subprocess.run(  # noqa: S603 - a list, no shell
        words, capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        said = " ".join((done.stderr or done.stdout).split())
        raise InputError(f"{' '.join(words[:3])}: {said}")
    return done.stdout
