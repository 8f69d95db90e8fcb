"""The generated parts of docs/scaling.md: what a sweep costs, measured and estimated."""

from collections.abc import Mapping
from typing import Any

from iic.experiments.recipes import DEFAULT
from tools.bench.results import read_benchmark
from tools.bench.sweeps import GROWING, RECORDS

NOT_MEASURED = "Not measured yet: `make bench`."
VARIANTS, MACHINES = 10_000, 200
# Steps of a task that are not the training itself, nor depend on what has finished.
_STILL = ("runs augment", "runs evaluate", "runs report")


def costs() -> str:
    """Seconds of an epoch by what grows, from the first value measured to the last."""
    measured = read_benchmark()
    if "scaling" not in measured:
        return NOT_MEASURED
    names = {
        "images": "images",
        "overclusters": "overclusters",
        "width": "channels, of the network's",
        "head_layers": "layers of a head",
    }
    lines = [
        "| what grows | from | to | seconds of an epoch of `fast` |",
        "| --- | --- | --- | --- |",
    ]
    for kind, name in names.items():
        seconds = measured["scaling"][kind]
        first, *_, last = seconds
        lines.append(
            f"| {name} | {_count(first)} | {_count(last)} "
            f"| {seconds[first]:.1f} to {seconds[last]:.1f} |"
        )
    return "\n".join(lines)


def sweep() -> str:
    """Efficiency of two workers, seconds of a task's steps, and how they grow."""
    measured = read_benchmark()
    if not _is_measured(measured):
        return NOT_MEASURED
    figures, growth = measured["sweep"], measured["traffic"]["growth"]
    seconds, steps = figures["seconds"], figures["steps"]
    training = steps["runs train"]
    beside = sum(steps.values()) - training
    columns = list(growth)
    lines = [
        f"{figures['tasks']} tasks of {figures['epochs']} epoch of `fast`, one core each, took "
        f"{seconds['1']:.0f} s with one worker and {seconds['2']:.0f} s with two, median of "
        f"{figures['rounds']}: **{100 * figures['efficiency']:.0f} % efficiency**. Of a task, "
        f"{training:.0f} s were the training and {beside:.0f} s what is around it, with "
        f"{steps['runs evaluate'] + steps['runs report']:.0f} s for `evaluate` and `report`.",
        "",
        "| a step of a task, beside finished experiments: | "
        + " | ".join(_count(column) for column in columns)
        + " |",
        "| --- |" + " --- |" * len(columns),
    ]
    rows = {
        "looks for results, clones": ("clones", "{:.2f} s"),
        "pulls the shared data, which is on the machine": ("pulls", "{:.2f} s"),
        "starts, pulls the run-cache": ("starts", "{:.2f} s"),
        "pushes": ("pushes", "{:.2f} s"),
        "Git references that a push is shown": ("references_mb", "{:.2f} MB"),
    }
    for name, (key, form) in rows.items():
        cells = " | ".join(form.format(growth[column][key]) for column in columns)
        lines.append(f"| {name} | {cells} |")
    return "\n".join(lines)


def estimate() -> str:
    """A sweep that does not fit these machines, from what was measured on them."""
    measured = read_benchmark()
    if not _is_measured(measured):
        return NOT_MEASURED
    figures, traffic = measured["sweep"], measured["traffic"]
    training = measured["trainings"][DEFAULT]["seconds"]
    each = VARIANTS // MACHINES
    still = sum(figures["steps"].get(step, 0.0) for step in _STILL)
    first, *_, last = (_growing(row) + still for row in traffic["growth"].values())
    hours = each * (training + (first + last) / 2) / 3600
    shown = traffic["growth"][str(VARIANTS)]["references_mb"]
    rate = VARIANTS / (3600 * hours)
    data, clone, pushed = (traffic[f"{k}_mb"] for k in ("shared_data", "clone", "pushed"))
    records = traffic["records_kb"] / 1000
    rows = [
        ("training of `default`, two cores", f"{training:.0f} s", f"{each} a machine, one by one"),
        ("around it, at first", f"{first:.0f} s", _share(first, training)),
        ("around it, beside 10,000 finished", f"{last:.0f} s", _share(last, training)),
        ("the whole sweep", "", f"**{hours:.1f} hours**"),
        ("clones, from the Git server", f"{clone:.1f} MB", f"{VARIANTS * clone / 1000:.0f} GB"),
        (
            "data, once a machine",
            f"{data:.0f} MB",
            f"{MACHINES * data / 1000:.0f} GB; once a task, {VARIANTS * data / 1e6:.1f} TB",
        ),
        (
            "run-cache, of all that has finished",
            f"up to {VARIANTS * records:.0f} MB in {VARIANTS * RECORDS:,} files",
            f"{VARIANTS**2 * records / 2 / 1000:,.0f} GB",
        ),
        (
            "results, as of `fast`, to the DVC remote",
            f"{pushed:.1f} MB",
            f"{VARIANTS * pushed / 1000:.0f} GB",
        ),
        (
            "Git references that a push is shown",
            f"up to {shown:.1f} MB",
            f"{VARIANTS * shown / 2 / 1000:.0f} GB",
        ),
        (
            "tasks that Ray hands out",
            f"{rate:.2f} a second",
            f"{traffic['empty_tasks_per_second']:,} a second are possible",
        ),
    ]
    lines = ["| what | a task | in all |", "| --- | --- | --- |"]
    return "\n".join([*lines, *(f"| {' | '.join(row)} |" for row in rows)])


def _is_measured(measured: Mapping[str, Any]) -> bool:
    return {"sweep", "trainings"} <= measured.keys() and "growth" in measured.get("traffic", {})


def _growing(row: Mapping[str, Any]) -> float:
    return sum(float(row[step]) for step in GROWING)


def _share(seconds: float, training: float) -> str:
    return f"{100 * seconds / training:.0f} % of the training"


def _count(text: str) -> str:
    """15000 -> "15,000"; 0.25 stays."""
    return f"{int(text):,}" if text.isdigit() else text
