"""Whether a run that something disturbed ended as it may, and whether all is as before at last."""

import re
from pathlib import Path
from typing import NamedTuple

from iic.core.errors import InputError
from tools.chaos.clones import lost, repro
from tools.chaos.contents import wrong

_LINE = re.compile(r"^(?:error|ERROR): (.*)$", re.MULTILINE)


class Ending(NamedTuple):
    """How a command ended.

    Attributes:
        status: of its exit.
        said: on both of its outputs.
    """

    status: int
    said: str


def fault_of(ending: Ending, named: str, says: str = "") -> str:
    """What is wrong with an ending, in a line; nothing with one that is well or a clear refusal.

    Args:
        ending: of a run.
        named: regular expression of what a refusal has to name; empty if none is allowed.
        says: regular expression of what is said in any case.
    """
    if not re.search(says, ending.said):
        return f"does not say: {says}"
    if ending.status == 0:
        return ""
    lines = _LINE.findall(ending.said)
    if ending.status < 0 or "exited with -" in ending.said:
        return f"crashed: {' '.join(lines)}"
    if "Traceback" in ending.said:
        return f"traceback: {ending.said.strip().splitlines()[-1]}"
    if not named:
        return f"refused: {' | '.join(lines)}"
    if not any(re.search(named, line) for line in lines):
        return f"does not name {named}: {' | '.join(lines)}"
    return ""


def lost_at_last(clone: Path, lock: bytes) -> str:
    """What is not as it was after what `make repro` runs, in words.

    Args:
        clone: to mend.
        lock: content of dvc.lock before.
    """
    try:
        repro(clone)
    except InputError as error:
        return str(error)
    others = [f"{name} is of other bytes" for name in wrong(clone)]
    return ", ".join(filter(None, [lost(clone, lock), *others]))
