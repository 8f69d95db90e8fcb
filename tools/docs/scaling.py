"""Generated parts of docs/scaling.md: the cost of a sweep, measured and estimated."""

from collections.abc import Mapping
from typing import Any

from iic.experiments.recipes import DEFAULT
from tools.bench.results import read_benchmark
from tools.bench.sweeps import GROWING, RECORDS
from tools.docs.tables import NOT_MEASURED, markdown_table

VARIANTS, MACHINES = 10_000, 200
# Steps of a task, other than the training, whose time does not depend on finished experiments.
_CONSTANT = ("runs augment", "runs evaluate", "runs report")
_CHANGES = {
    "images": "images",
    "overclusters": "overclusters",
    "width": "channels, as a multiple of the network's",
    "head_layers": "layers of a head",
}
_STEPS = {
    "look for results and clone": ("clones", "{:.2f} s"),
    "pull the shared data, already on the machine": ("pulls", "{:.2f} s"),
    "start and pull the run-cache": ("starts", "{:.2f} s"),
    "push": ("pushes", "{:.2f} s"),
    "Git references sent before a push": ("references_mb", "{:.2f} MB"),
}


def costs() -> str:
    """Return a table of the time of an epoch, from the first to the last measured value."""
    measured = read_benchmark()
    if "scaling" not in measured:
        return NOT_MEASURED
    rows = []
    for kind, name in _CHANGES.items():
        seconds = measured["scaling"][kind]
        first, *_, last = seconds
        times = f"{seconds[first]:.1f} to {seconds[last]:.1f}"
        rows.append((name, _count(first), _count(last), times))
    return markdown_table("setting | from | to | seconds per epoch of `fast`", rows)


def sweep() -> str:
    """Return the efficiency of two workers and a table of the time of a task's steps."""
    measured = read_benchmark()
    if not _is_measured(measured):
        return NOT_MEASURED
    values, growth = measured["sweep"], measured["traffic"]["growth"]
    seconds, steps = values["seconds"], values["steps"]
    training = steps["runs train"]
    others = sum(steps.values()) - training
    last_stages = steps["runs evaluate"] + steps["runs report"]
    text = (
        f"{values['tasks']} tasks of {values['epochs']} epoch of `fast`, one core each, took "
        f"{seconds['1']:.0f} s with one worker and {seconds['2']:.0f} s with two (median of "
        f"{values['rounds']}): **{100 * values['efficiency']:.0f} % efficiency**. The training "
        f"took {training:.0f} s of a task, the other steps {others:.0f} s, of which `evaluate` and "
        f"`report` took {last_stages:.0f} s."
    )
    rows = [
        (name, *(form.format(row[key]) for row in growth.values()))
        for name, (key, form) in _STEPS.items()
    ]
    titles = " | ".join(["step of a task, by finished experiments", *map(_count, growth)])
    return f"{text}\n\n{markdown_table(titles, rows)}"


def estimate() -> str:
    """Return a table that extrapolates the measurements to VARIANTS tasks on MACHINES machines."""
    measured = read_benchmark()
    if not _is_measured(measured):
        return NOT_MEASURED
    values, traffic = measured["sweep"], measured["traffic"]
    training = measured["trainings"][DEFAULT]["seconds"]
    each = VARIANTS // MACHINES
    constant = sum(values["steps"].get(step, 0.0) for step in _CONSTANT)
    first, *_, last = (_growing(row) + constant for row in traffic["growth"].values())
    hours = each * (training + (first + last) / 2) / 3600
    references = traffic["growth"][str(VARIANTS)]["references_mb"]
    rate = VARIANTS / (3600 * hours)
    data, clone, pushed = (traffic[f"{k}_mb"] for k in ("shared_data", "clone", "pushed"))
    records = traffic["records_kb"] / 1000
    rows = [
        ("training of `default`, two cores", f"{training:.0f} s", f"{each} per machine, in turn"),
        ("other steps, first task", f"{first:.0f} s", _share(first, training)),
        ("other steps, with 10,000 finished", f"{last:.0f} s", _share(last, training)),
        ("the whole sweep", "", f"**{hours:.1f} hours**"),
        ("clones, from the Git server", f"{clone:.1f} MB", f"{VARIANTS * clone / 1000:.0f} GB"),
        (
            "data, once per machine",
            f"{data:.0f} MB",
            f"{MACHINES * data / 1000:.0f} GB; once per task, {VARIANTS * data / 1e6:.1f} TB",
        ),
        (
            "run-cache of all finished tasks",
            f"up to {VARIANTS * records:.0f} MB in {VARIANTS * RECORDS:,} files",
            f"{VARIANTS**2 * records / 2 / 1000:,.0f} GB",
        ),
        (
            "results, at the size of `fast`, to the DVC remote",
            f"{pushed:.1f} MB",
            f"{VARIANTS * pushed / 1000:.0f} GB",
        ),
        (
            "Git references sent before a push",
            f"up to {references:.1f} MB",
            f"{VARIANTS * references / 2 / 1000:.0f} GB",
        ),
        (
            "tasks that Ray starts",
            f"{rate:.2f} per second",
            f"{traffic['empty_tasks_per_second']:,} per second are possible",
        ),
    ]
    return markdown_table("what | per task | in total", rows)


def _is_measured(measured: Mapping[str, Any]) -> bool:
    return {"sweep", "trainings"} <= measured.keys() and "growth" in measured.get("traffic", {})


def _growing(row: Mapping[str, Any]) -> float:
    return sum(float(row[step]) for step in GROWING)


def _share(seconds: float, training: float) -> str:
    return f"{100 * seconds / training:.0f} % of the training"


def _count(text: str) -> str:
    """Add commas to an integer: 15000 becomes "15,000", 0.25 stays."""
    return f"{int(text):,}" if text.isdigit() else text
