"""Kill the pipeline at random moments, over and over, and count what is lost: `make chaos`.

A trial empties DVC's cache in a finished clone, runs `dvc repro --force`, kills all of its
processes at a random moment and runs `dvc repro` again. Nothing is lost if that ends with the same
dvc.lock, and neither Git nor DVC sees a change, and no state of a training is left over.
"""

import argparse
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from experiments.cli import run_main
from experiments.recipes import options_of, read_settings, recipe_params, with_overrides
from iic.errors import InputError
from iic.files import read_json, write_text
from stages.common import REPORTS
from stages.progress import FOLDER as STATES

RELIABILITY = REPORTS / "reliability.json"


class Campaign(NamedTuple):
    """What is killed, and how often.

    Attributes:
        recipe: name of a recipe.
        settings: on top of it.
        kills: trials.
    """

    recipe: str
    settings: list[str]
    kills: int


CAMPAIGNS = {
    "digits": Campaign("tour", ["train.epochs=8"], 30),
    "mnist": Campaign("fast", [], 5),
}


class Trial(NamedTuple):
    """What a trial gave.

    Attributes:
        stage: that was killed; "none" before the first or after the last.
        resumed: whether a training went on after a finished epoch.
        lost: what was not as before, in words; empty if nothing.
    """

    stage: str
    resumed: bool
    lost: str


def run_campaign(campaign: Campaign, seed: int) -> Iterator[dict[str, Any]]:
    """Counts over the trials so far, after each of them."""
    moments = random.Random(seed)  # noqa: S311 - nothing secret
    stages: Counter[str] = Counter()
    lost: list[str] = []
    resumed = 0
    with tempfile.TemporaryDirectory() as name:
        clone = Path(name) / "clone"
        seconds = _prepare(clone, campaign)
        for number in range(1, campaign.kills + 1):
            trial = _trial(clone, moments.uniform(0, seconds))
            stages[trial.stage] += 1
            resumed += trial.resumed
            lost += [trial.lost] if trial.lost else []
            sys.stderr.write(f"{number} of {campaign.kills}: {trial}\n")
            yield {
                "kills": number,
                "lost": list(lost),
                "resumed": resumed,
                "stages": dict(sorted(stages.items())),
            }


def _prepare(clone: Path, campaign: Campaign) -> float:
    """A clone of what is committed, in which the pipeline has run; seconds that it takes again."""
    _call("git", "clone", "--quiet", str(Path.cwd()), str(clone), cwd=Path.cwd())
    params = with_overrides(
        recipe_params(campaign.recipe), read_settings(campaign.settings), "settings"
    )
    _call("dvc", "exp", "run", *options_of(params), cwd=clone)
    _commit(clone)
    start = time.monotonic()
    _call("dvc", "repro", "--force", cwd=clone)
    return time.monotonic() - start


def _trial(clone: Path, moment: float) -> Trial:
    before = (clone / "dvc.lock").read_bytes()
    # It would bring everything back, and nothing would have to go on.
    shutil.rmtree(clone / ".dvc/cache", ignore_errors=True)
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen(
            ["dvc", "repro", "--force"],  # noqa: S607 - first on PATH
            cwd=clone,
            stdout=said,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        time.sleep(moment)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        said.seek(0)
        stage = _stage_of(said.read().decode(errors="replace"))
    try:
        again = _call("dvc", "repro", cwd=clone)
    except InputError as error:
        # DVC writes this file in place, and a kill may leave half of it.
        (clone / ".dvc/tmp/rwlock").unlink(missing_ok=True)
        _call("dvc", "repro", cwd=clone)
        return Trial(stage, resumed=False, lost=" ".join(str(error).split()))
    return Trial(stage, "going on after epoch" in again.stderr, _lost(clone, before))


def _stage_of(said: str) -> str:
    """The stage that DVC was running when it said this."""
    lines = [line for line in said.splitlines() if line.startswith("Running stage")]
    return lines[-1].split("'")[1] if lines else "none"


def _lost(clone: Path, lock: bytes) -> str:
    """What is not as before the trial."""
    found = {
        "dvc.lock differs": (clone / "dvc.lock").read_bytes() != lock,
        "DVC sees a change": json.loads(_call("dvc", "status", "--json", cwd=clone).stdout) != {},
        "Git sees a change": bool(_call("git", "status", "--porcelain", cwd=clone).stdout),
        "a state is left": any((clone / STATES).glob("*")),
    }
    return ", ".join(what for what, is_so in found.items() if is_so)


def _commit(clone: Path) -> None:
    author = ["-c", "user.name=chaos", "-c", "user.email=chaos@example.org"]
    _call("git", "add", "--all", cwd=clone)
    _call("git", *author, "commit", "--quiet", "--message", "finished", cwd=clone)


def _call(*command: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(  # noqa: S603 - a list, no shell
        command, cwd=cwd, capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        raise InputError(f"{' '.join(command)}: {done.stderr.strip()[-2000:]}")
    return done


def main(arguments: list[str]) -> None:
    """Run the campaigns that are named, or all."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("campaign", nargs="*", help=f"of {', '.join(CAMPAIGNS)} (default: all)")
    parser.add_argument("--seed", type=int, default=0, help="of the moments (default 0)")
    options = parser.parse_args(arguments)
    for name in options.campaign or list(CAMPAIGNS):
        if name not in CAMPAIGNS:
            raise InputError(f"{name}: no such campaign (one of {', '.join(CAMPAIGNS)})")
    for name in options.campaign or list(CAMPAIGNS):
        for counts in run_campaign(CAMPAIGNS[name], options.seed):
            kept = read_json(RELIABILITY, "git restore") if RELIABILITY.exists() else {}
            kills = kept.get("kills", {}) | {name: counts}
            write_text(RELIABILITY, json.dumps(kept | {"kills": kills}, indent=2) + "\n")


if __name__ == "__main__":
    run_main(main)
