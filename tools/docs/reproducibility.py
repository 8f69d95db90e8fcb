"""The generated parts of docs/reproducibility.md: under which conditions the bytes are the same."""

from collections.abc import Mapping, Sequence
from string import ascii_uppercase
from typing import Any

from iic.experiments.seeds import rows_of
from tools.bench.estimate import NOT_MEASURED
from tools.determinism.conditions import CONDITIONS, ELSEWHERE, LEVELS
from tools.determinism.measure import read_results

_Row = Mapping[str, Any]
_NOT_RUN = "Not run yet: `python -m tools.determinism.measure`."


def conditions() -> str:
    """Which set of bytes each condition gives with each of the data."""
    results = read_results()
    levels = [level for level in LEVELS if level in results]
    if not levels:
        return _NOT_RUN
    letters = {level: letters_of(results[level]) for level in levels}
    titles = " | ".join(LEVELS[level].title for level in levels)
    lines = [
        f"| what differs | how | {titles} |",
        "| --- | --- |" + " --- |" * len(levels),
    ]
    for name, condition in CONDITIONS.items():
        rows = [results[level]["conditions"].get(name, {}) for level in levels]
        if any("digest" in row or row.get("outcome") == "failed" for row in rows):
            cells = [_cell(row, letters[level]) for level, row in zip(levels, rows, strict=True)]
            lines.append(f"| {condition.what} | {condition.how} | {' | '.join(cells)} |")
    return "\n".join([*lines, "", *_machines(results, levels), "", *_not_tried(results)])


def letters_of(level: Mapping[str, Any]) -> dict[str, str]:
    """A letter for each set of bytes by its digest: A that of the reference, then in order."""
    found = [level["reference"]["digest"]]
    found += [row["digest"] for row in level["conditions"].values() if "digest" in row]
    return dict(zip(dict.fromkeys(found), ascii_uppercase, strict=False))


def _cell(row: _Row, letters: Mapping[str, str]) -> str:
    if "digest" not in row:
        return "failed" if row.get("outcome") == "failed" else ""
    letter = letters[row["digest"]]
    return letter if row["outcome"] == "same" else f"**{letter}**"


def _machines(results: Mapping[str, Any], levels: Sequence[str]) -> list[str]:
    """On which processors the reference of each level gave its bytes."""
    lines = ["Processors on which the reference gave A:", ""]
    for level in levels:
        found = [machine["processor"] for machine in results[level]["reference"]["machines"]]
        lines.append(f"- {LEVELS[level].title}: {'; '.join(dict.fromkeys(found))}")
    return lines


def _not_tried(results: Mapping[str, Any]) -> list[str]:
    reasons: dict[str, str] = {}
    for name, condition in CONDITIONS.items():
        rows = [results[level]["conditions"].get(name, {}) for level in LEVELS if level in results]
        tried = any("digest" in row or row.get("outcome") == "failed" for row in rows)
        found = [row["reason"] for row in rows if row.get("outcome") == "not tried"]
        if found and not tried:
            reasons[condition.what] = found[0]
    lines = [f"- {what}: {reason}" for what, reason in (reasons | ELSEWHERE).items()]
    return ["Not tried:", "", *lines]


def moves() -> str:
    """How far metrics move where the bytes differ, and between seeds."""
    results = read_results()
    levels = [level for level in LEVELS if level in results]
    if not levels:
        return _NOT_RUN
    lines = [
        "| data | bytes | under | first output that differs | accuracy, points | NMI | loss "
        "| images in another cluster |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for level in levels:
        title = LEVELS[level].title
        lines += [f"| {title} | {row}" for row in _moved_rows(results[level])]
    return "\n".join([*lines, "", _between_seeds(results.get("mnist"))])


def _moved_rows(level: Mapping[str, Any]) -> list[str]:
    lines, rows = [], level["conditions"]
    for digest, letter in letters_of(level).items():
        names = [name for name, row in rows.items() if row.get("digest") == digest]
        if digest == level["reference"]["digest"] or not names:
            continue
        row = rows[names[0]]
        moved = row["moved"]
        under = "; ".join(CONDITIONS[name].what for name in names)
        lines.append(
            f"{letter} | {under} | `{row['differs'][0]}` | {100 * moved['acc']:.2f} "
            f"| {moved['nmi']:.4f} | {moved['loss']:.4f} "
            f"| {row['changed']:,} of {row['images']:,} |"
        )
    return lines


def _between_seeds(level: Mapping[str, Any] | None) -> str:
    """The spread that the same recipe has over its seeds, from its table."""
    recipe = LEVELS["mnist"].recipe
    values = [100 * float(row["acc"]) for row in rows_of(recipe).values()]
    if not values:
        return NOT_MEASURED
    spread = max(values) - min(values)
    return (
        f"Over the {len(values)} seeds of `{recipe}` (reports/seeds/{recipe}.csv), accuracy lies "
        f"between {min(values):.2f} % and {max(values):.2f} %, {spread:.2f} points apart."
        f"{_further_than(spread, level) if level else ''}"
    )


def _further_than(spread: float, level: Mapping[str, Any]) -> str:
    """Which bytes moved the accuracy by more points than seeds do."""
    letters, rows = letters_of(level), level["conditions"].values()
    moved = {letters[row["digest"]]: 100 * row["moved"]["acc"] for row in rows if row.get("moved")}
    further = [f"{letter} by {points:.2f}" for letter, points in moved.items() if points > spread]
    return f" One run each moved it further: {', '.join(further)}." if further else ""


def costs() -> str:
    """What training takes under a condition, of the time that the reference took beside it."""
    level = read_results().get("mnist")
    if level is None:
        return _NOT_RUN
    reference = level["reference"]["train_seconds"]
    lines = ["| what differs | training, of the reference's time |", "| --- | --- |"]
    for name, row in level["conditions"].items():
        if "train_seconds" in row:
            share = row["train_seconds"] / reference
            lines.append(f"| {CONDITIONS[name].what} | {share:.2f} |")
    return "\n".join([*lines, "", f"The reference took {reference:.0f} s; one run each."])
