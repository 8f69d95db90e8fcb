"""Invalid overrides, as after `-S`: refused by DVC, or by the first stage that would work.

Most are given to what DVC itself calls to write them into params.yaml; some to `dvc exp run`.
"""

import contextlib
import random
import re
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from dvc.utils.hydra import apply_overrides
from hypothesis import strategies as st

from iic.pipeline.paths import PARAMS
from tools.chaos.clones import call
from tools.chaos.counting import Count
from tools.chaos.examples import distinct
from tools.chaos.mistakes import no_values
from tools.chaos.parameters import not_refused
from tools.chaos.variants import dotted, leaves

# An override, and what of its refusal has to be found.
Override = tuple[str, str]

# Of any key, in the grammar of overrides.
_ANY = ("{{wrong:1}}", "[[1]]", '"<b>', "${{nobody}}", "${{data}}", "{key}!")
# What is fine in an override, where a backslash is one, or is too long for DVC to name the key.
_FINE = re.compile(r"tRue|1_000|\.nan|.*\\.*|9{5000}")
_FORMS = (
    *("{key}", "{key}=[", "{key}={{", "{key}='", "={key}", "{key}.deeper=1", "+{key}=[1]"),
    *("~{key}", "+{key}x=1", "{key}x=1", "{key} =(", "{key}=${{", "+{section}.<b>=1"),
)
# For `dvc exp run`: a value, a choice, sections, a key too many, keys too few, a bad reference.
REAL: Sequence[Override] = (
    ("loss.alpha=high", r"params\.yaml: loss\.alpha: 'high' should be a number"),
    ("augment.ops=[rotatoin]", r"params\.yaml: augment\.ops\[0\]: unknown value 'rotatoin'"),
    ("train={epochs:x}", r"params\.yaml: train\.epochs: 'x' should be an integer"),
    ("+train.epoch=1", r"params\.yaml: train\.epoch: unknown key; did you mean 'train\.epochs'"),
    ("train.epoch=1", r"train\.epoch\b"),
    ("seed=1e400", r"params\.yaml: seed: inf should be"),
    ("~model.clusters", r"params\.yaml: model\.clusters: missing"),
    ("seed=${nobody}", r"seed"),
)


def mixed(numbers: random.Random) -> Iterator[Count]:
    """Sixty in this process, then eight through `dvc exp run`."""
    count = Count()
    for count in in_process(distinct(invalid(), 60, numbers)):
        yield count
    yield from through_dvc(REAL, count)


@st.composite
def invalid(draw: st.DrawFn) -> Override:
    """A wrong value for a key, or something that is no override of a key that is there."""
    leaf = draw(st.sampled_from([leaf for leaf in leaves() if leaf[0] != "report"]))
    key = dotted(leaf)
    if draw(st.booleans()):
        form = draw(st.sampled_from(_FORMS))
        return form.format(key=key, section=leaf[0] or "data"), re.escape(key)
    values = [value for value in no_values(leaf) if not _FINE.fullmatch(value)]
    value = draw(st.sampled_from([*values, *(text.format(key=key) for text in _ANY)]))
    return f"{key}={value}", re.escape(key)


def in_process(overrides: Sequence[Override]) -> Iterator[Count]:
    """Apply each to a copy of the committed file, and give it to what all stages begin with."""
    count, committed = Count(), PARAMS.read_bytes()
    for override, named in overrides:
        with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
            PARAMS.write_bytes(committed)
            what, by = _trial(override, named)
        count.add(what and f"-S {override}: {what}", f"refused by {by}")
        yield count


def _trial(override: str, named: str) -> tuple[str, str]:
    """What was lost, and who refused."""
    before = PARAMS.read_bytes()
    try:
        apply_overrides(PARAMS, [override])
    except Exception as error:
        # DVC shows this, and no traceback, of whatever is raised here. Where the text is no
        # override at all, it quotes the place where that shows.
        said = f"{error} {error.__cause__ or ''}"
        wanted = rf"{named}|deeper|Invalid `--set-param` value"
        faults = {
            "params.yaml is changed": PARAMS.read_bytes() != before,
            f"does not name {named}: {said!r:.300}": not re.search(wanted, said),
        }
        return ", ".join(fault for fault, is_so in faults.items() if is_so), "DVC"
    return not_refused([named]), "the first stage"


def through_dvc(overrides: Sequence[Override], count: Count) -> Iterator[Count]:
    """Run an experiment with each, in a clone in which nothing has run."""
    with tempfile.TemporaryDirectory() as name:
        clone = Path(name) / "clone"
        call("git", "clone", "--quiet", str(Path.cwd()), str(clone), cwd=Path.cwd())
        for override, named in overrides:
            what = run_with(clone, override, named)
            count.add(what and f"dvc exp run -S {override}: {what}", "refused by `dvc exp run`")
            yield count


def run_with(clone: Path, override: str, named: str) -> str:
    """What is wrong with the refusal of `dvc exp run` in a clone; empty if nothing."""
    before = _outputs(clone)
    done = subprocess.run(  # noqa: S603 - a list, no shell
        ["dvc", "exp", "run", "-S", override],  # noqa: S607 - first on PATH
        cwd=clone,
        capture_output=True,
        text=True,
        check=False,
    )
    said = done.stdout + done.stderr
    faults = {
        "accepted": done.returncode == 0,
        "a traceback": "Traceback" in said,
        f"does not name {named}: {said!r:.300}": not re.search(named, said),
        "began to work": _outputs(clone) != before,
    }
    # DVC leaves the override in the file, for the user to mend.
    call("git", "checkout", "--quiet", "--", str(PARAMS), cwd=clone)
    return ", ".join(fault for fault, is_so in faults.items() if is_so)


def _outputs(clone: Path) -> list[tuple[str, int]]:
    """All files but Git's and DVC's own, and the parameters."""
    return [
        (str(path), path.stat().st_mtime_ns)
        for path in sorted(clone.rglob("*"))
        if path.is_file()
        and path.name != PARAMS.name
        and not {".git", ".dvc", "__pycache__"} & set(path.relative_to(clone).parts)
    ]
