"""Tables of docs/reproducibility.md: which conditions change the bytes, by how much, and the cost.

They come from reports/measurements/determinism.json, which `python -m tools.determinism.measure`
writes.
"""

from collections.abc import Iterator, Mapping
from string import ascii_uppercase
from typing import Any

from iic.experiments.seeds import rows_of
from tools.determinism.conditions import CONDITIONS, ELSEWHERE, LEVELS
from tools.determinism.measure import read_results
from tools.docs.tables import markdown_table

# A measured level, such as "mnist", or one of its rows.
_Measured = Mapping[str, Any]
_NOT_RUN = "Not run yet: `python -m tools.determinism.measure`."


def conditions() -> str:
    """Return a table with a letter for the bytes that each condition gives, by measured level."""
    levels = _levels()
    if not levels:
        return _NOT_RUN
    letters = {name: letters_of(level) for name, level in levels.items()}
    rows = []
    for name, condition in CONDITIONS.items():
        found = {key: level["conditions"].get(name, {}) for key, level in levels.items()}
        if any(_was_run(row) for row in found.values()):
            cells = (_cell(row, letters[key]) for key, row in found.items())
            rows.append((condition.what, condition.how, *cells))
    titles = " | ".join(["what differs | how", *(LEVELS[name].title for name in levels)])
    return "\n".join([markdown_table(titles, rows), "", *_machines(levels), "", *_not_run(levels)])


def _levels() -> dict[str, _Measured]:
    """Return the measurements by level, in the order of the columns."""
    results = read_results()
    return {name: results[name] for name in LEVELS if name in results}


def letters_of(level: _Measured) -> dict[str, str]:
    """Return a letter for each digest: A for the reference, the others by first appearance."""
    found = [level["reference"]["digest"]]
    found += [row["digest"] for row in level["conditions"].values() if "digest" in row]
    return dict(zip(dict.fromkeys(found), ascii_uppercase, strict=False))


def _was_run(row: _Measured) -> bool:
    return "digest" in row or row.get("outcome") == "failed"


def _cell(row: _Measured, letters: Mapping[str, str]) -> str:
    if "digest" not in row:
        return "failed" if _was_run(row) else ""
    letter = letters[row["digest"]]
    return letter if row["outcome"] == "same" else f"**{letter}**"


def _machines(levels: Mapping[str, _Measured]) -> Iterator[str]:
    yield from ("Processors on which the reference gave A:", "")
    for name, level in levels.items():
        found = dict.fromkeys(machine["processor"] for machine in level["reference"]["machines"])
        yield f"- {LEVELS[name].title}: {'; '.join(found)}"


def _not_run(levels: Mapping[str, _Measured]) -> Iterator[str]:
    """Yield a list of the conditions that were not run, with the reasons."""
    reasons: dict[str, str] = {}
    for name, condition in CONDITIONS.items():
        rows = [level["conditions"].get(name, {}) for level in levels.values()]
        found = [row["reason"] for row in rows if row.get("outcome") == "not tried"]
        if found and not any(_was_run(row) for row in rows):
            reasons[condition.what] = found[0]
    yield from ("Not tried:", "")
    yield from (f"- {what}: {reason}" for what, reason in (reasons | ELSEWHERE).items())


def moves() -> str:
    """Return a table of the changes of metrics where bytes differ, and the spread of the seeds."""
    levels = _levels()
    if not levels:
        return _NOT_RUN
    titles = (
        "data | bytes | conditions | first output that differs | accuracy, points | NMI | loss "
        "| images in another cluster"
    )
    rows = [
        (LEVELS[name].title, *row) for name, level in levels.items() for row in _moved_rows(level)
    ]
    return f"{markdown_table(titles, rows)}\n\n{_between_seeds(levels.get('mnist'))}"


def _moved_rows(level: _Measured) -> Iterator[tuple[str, ...]]:
    """Yield a row for each set of bytes other than the reference's."""
    for digest, letter in letters_of(level).items():
        under = {n: row for n, row in level["conditions"].items() if row.get("digest") == digest}
        if digest == level["reference"]["digest"] or not under:
            continue
        row = next(iter(under.values()))
        moved = row["moved"]
        yield (
            letter,
            "; ".join(CONDITIONS[name].what for name in under),
            f"`{row['differs'][0]}`",
            f"{100 * moved['acc']:.2f}",
            f"{moved['nmi']:.4f}",
            f"{moved['loss']:.4f}",
            f"{row['changed']:,} of {row['images']:,}",
        )


def _between_seeds(level: _Measured | None) -> str:
    """Describe the range of the accuracy over the seeds of the same recipe."""
    recipe = LEVELS["mnist"].recipe
    values = [100 * float(row["acc"]) for row in rows_of(recipe).values()]
    if not values:
        return f"No seeds to compare with yet: `iic seeds {recipe}`."
    spread = max(values) - min(values)
    return (
        f"Over the {len(values)} seeds of `{recipe}` (reports/seeds/{recipe}.csv), accuracy lies "
        f"between {min(values):.2f} % and {max(values):.2f} %, {spread:.2f} points apart."
        f"{_further_than(spread, level) if level else ''}"
    )


def _further_than(spread: float, level: _Measured) -> str:
    """Describe the sets of bytes that changed the accuracy by more points than seeds do."""
    letters, rows = letters_of(level), level["conditions"].values()
    moved = {letters[row["digest"]]: 100 * row["moved"]["acc"] for row in rows if row.get("moved")}
    further = [f"{letter} by {points:.2f}" for letter, points in moved.items() if points > spread]
    return f" One run each moved it further: {', '.join(further)}." if further else ""


def costs() -> str:
    """Return a table of the training time on MNIST as a share of the reference's."""
    level = _levels().get("mnist")
    if level is None:
        return _NOT_RUN
    reference = level["reference"]["train_seconds"]
    rows = [
        (CONDITIONS[name].what, f"{row['train_seconds'] / reference:.2f}")
        for name, row in level["conditions"].items()
        if "train_seconds" in row
    ]
    table = markdown_table("what differs | training, share of the reference's time", rows)
    return f"{table}\n\nThe reference took {reference:.0f} s; one run each."
