"""Invalid parameter files: each refused before any work.

A refusal is one line for each mistake, names its key, shows nothing that a terminal would obey,
takes little time and memory, and leaves the folder as it was.
"""

import contextlib
import random
import re
import tempfile
import time
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from hypothesis.strategies import SearchStrategy

from iic.core.params import Params
from iic.pipeline.costs import peak_memory
from iic.pipeline.paths import PARAMS
from iic.pipeline.stage import run
from tools.chaos import malformed, mistakes
from tools.chaos.counting import Count
from tools.chaos.examples import distinct
from tools.chaos.variants import Variant


class Kind(NamedTuple):
    """A kind of mistake, and its share of all files."""

    variants: SearchStrategy[Variant]
    share: float


KINDS: Mapping[str, Kind] = {
    "wrong value": Kind(mistakes.wrong_value(), 0.24),
    "wrong number": Kind(mistakes.wrong_number(), 0.08),
    "two mistakes": Kind(mistakes.two_mistakes(), 0.04),
    "unknown key": Kind(mistakes.unknown_key(), 0.08),
    "misspelt key": Kind(mistakes.misspelt_key(), 0.08),
    "missing key": Kind(mistakes.missing_key(), 0.08),
    "repeated key": Kind(mistakes.repeated_key(), 0.08),
    "contradiction": Kind(mistakes.contradiction(), 0.04),
    "broken line": Kind(malformed.broken_line(), 0.08),
    "odd bytes": Kind(malformed.odd_bytes(), 0.08),
    "cut off": Kind(malformed.cut_off(), 0.04),
    "too much": Kind(malformed.too_much(), 0.04),
    "other file": Kind(malformed.other_file(), 0.04),
}

# Of a processor, and MB that a refusal may take at most.
_SECONDS, _MEMORY = 5.0, 200.0


def in_file(numbers: random.Random) -> Iterator[Count]:
    """Five hundred invalid files."""
    return refusals(invalid(500, numbers))


def invalid(number: int, numbers: random.Random) -> Iterator[tuple[str, Variant]]:
    """About so many invalid files of all kinds, no two of a kind alike."""
    for kind, (variants, share) in KINDS.items():
        for variant in distinct(variants, round(share * number), numbers):
            yield kind, variant


def refusals(variants: Iterable[tuple[str, Variant]]) -> Iterator[Count]:
    """Give each file to what all stages begin with; yield the count after each."""
    count = Count()
    for kind, variant in variants:
        with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
            PARAMS.write_bytes(variant.content)
            what = not_refused(variant.named)
        count.add(what and f"{kind}: {variant.says}: {what}", kind)
        yield count


def not_refused(named: Sequence[str]) -> str:
    """What is wrong with the refusal of the parameter file in the current folder; empty if nothing.

    Args:
        named: regular expressions, each of which has to be found in the refusal.
    """
    worked: list[Params] = []
    before, start, memory = _files(), time.process_time(), peak_memory()
    try:
        run(worked.append)
    except SystemExit as error:
        what = wrong_with(str(error.code), named)
    except Exception as error:
        what = f"{type(error).__name__} instead of a refusal: {error!r:.200}"
    else:
        what = "accepted"
    faults = {
        what: bool(what),
        "began to work": bool(worked),
        f"{time.process_time() - start:.1f} s": time.process_time() - start > _SECONDS,
        f"{peak_memory() - memory:.0f} MB": peak_memory() - memory > _MEMORY,
        "left a file": _files() != before,
    }
    return ", ".join(fault for fault, is_so in faults.items() if is_so)


def wrong_with(said: str, named: Sequence[str]) -> str:
    """What is wrong with the words of a refusal."""
    lines = said.removeprefix("error: ").split("\n")
    if not (said.startswith("error: ") and all(line.startswith(f"{PARAMS}: ") for line in lines)):
        return f"no line of its own for each mistake: {said!r:.300}"
    # Control characters, separators of lines, halves of characters, and what turns text around.
    if any(
        unicodedata.category(c) in ("Cc", "Cf", "Cs", "Zl", "Zp") for line in lines for c in line
    ):
        return f"shows control characters: {said!r:.300}"
    if max(map(len, lines)) > 500 or len(lines) > 30:
        return f"{len(lines)} lines, {len(said)} characters"
    missing = [pattern for pattern in named if not re.search(pattern, said)]
    return f"does not name {missing[0]}: {said!r:.300}" if missing else ""


def _files() -> list[tuple[str, int]]:
    paths = sorted(Path().rglob("*"))
    return [(str(path), path.stat().st_mtime_ns) for path in paths]
