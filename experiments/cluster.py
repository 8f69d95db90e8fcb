"""Tasks on the machines of a Ray cluster, placed by what they need and tried again if lost."""

import importlib
import importlib.util
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from types import ModuleType
from typing import Any

from experiments import task as tasks
from experiments.task import Outcome, Task
from iic.errors import InputError

_LOOK_SECONDS = 0.5


@dataclass(frozen=True)
class Needs:
    """What one task takes of a machine.

    Attributes:
        cores: that Ray sets aside, and as many threads.
        memory: in GB.
        gpus: or a share of one; None = one where the cluster has any.
        retries: how often a task is tried again after its machine was lost.
    """

    cores: int
    memory: float
    gpus: float | None
    retries: int


# (machine, what it does) by the experiment at work.
Work = dict[str, tuple[str, str]]


class Board:
    """Where the tasks write what they are at, and the one who waits reads it."""

    def __init__(self) -> None:
        """With nothing at work."""
        self._work: Work = {}

    def tell(self, name: str, machine: str, step: str) -> None:
        """Note what a task is at, or that it has ended if the step is empty."""
        if step:
            self._work[name] = (machine, step)
        else:
            self._work.pop(name, None)

    def read(self) -> Work:
        """Machine and step by experiment."""
        return self._work


def check_installed() -> None:
    """Raise InputError if Ray is not installed."""
    if importlib.util.find_spec("ray") is None:
        raise InputError("ray: not installed; `make cluster` installs requirements-cluster.txt")


@contextmanager
def connected(address: str | None, cores: int | None = None) -> Iterator[ModuleType]:
    """Ray, connected to a cluster, or to one of its own on this machine that ends with the block.

    Args:
        address: of the cluster's head, or None.
        cores: that Ray of its own may use; None = all.

    Raises:
        InputError: nothing answers there, or it is of another version.
    """
    check_installed()
    import ray

    quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": "ERROR"}
    try:
        if address is None:
            ray.init("local", num_cpus=cores, include_dashboard=False, **quiet)
        else:
            ray.init(address, **quiet)
    except (ConnectionError, RuntimeError, ValueError, TimeoutError) as error:
        why = " ".join(str(error).split()) or "no answer"
        where = f"--cluster {address}" if address else "Ray on this machine"
        raise InputError(
            f"{where}: {why}; `ray start --head` prints the address, `ray status` lists machines"
        ) from error
    try:
        yield ray
    finally:
        ray.shutdown()


def run_tasks(
    ray: ModuleType, wanted: Sequence[Task], needs: Needs, show: Callable[[Work], None]
) -> Iterator[Outcome]:
    """Run tasks on the cluster; yield how each ended, as they end.

    Args:
        ray: connected.
        wanted: the tasks.
        needs: of each.
        show: is called twice a second with what is at work.

    Raises:
        InputError: no machine of the cluster has room for even one task.
    """
    resources = _resources(ray, needs)
    for module in (tasks, importlib.import_module(__name__)):
        ray.cloudpickle.register_pickle_by_value(module)
    # On the head, which is the machine that cannot be lost anyway.
    board = ray.remote(num_cpus=0, resources={"node:__internal_head__": 0.001})(Board).remote()
    work = ray.remote(max_retries=needs.retries, **resources)(_work)
    names = {work.options(name=task.name).remote(task, board): task.name for task in wanted}
    while names:
        ended, _ = ray.wait(list(names), timeout=_LOOK_SECONDS)
        for reference in ended:
            yield _outcome(ray, reference, names.pop(reference))
        show(ray.get(board.read.remote()))


def _work(task: Task, board: Any) -> Outcome:  # noqa: ANN401 - a handle of Ray's
    """Run a task in a process of Ray's, and tell the board of it."""
    import ray

    machine = ray.util.get_node_ip_address()
    try:
        outcome = tasks.run(task, lambda step: board.tell.remote(task.name, machine, step))
        return replace(outcome, machine=machine)
    finally:
        board.tell.remote(task.name, machine, "")


def _outcome(ray: ModuleType, reference: object, name: str) -> Outcome:
    try:
        found: Outcome = ray.get(reference)
    except ray.exceptions.RayError as error:
        # Its machine was lost more often than it is tried again, or memory ran out.
        return Outcome(name, "failed", "", 0.0, f"{error}\n")
    return found


def _resources(ray: ModuleType, needs: Needs) -> dict[str, float]:
    """What Ray sets aside for a task, where some machine has as much."""
    has_gpu = ray.cluster_resources().get("GPU", 0) > 0
    gpus = float(has_gpu) if needs.gpus is None else needs.gpus
    wanted = {"CPU": needs.cores, "memory": needs.memory * 1e9, "GPU": gpus}
    machines = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    if not any(all(has.get(k, 0) >= v for k, v in wanted.items()) for has in machines):
        raise InputError(
            f"no machine of the cluster has {needs.cores} cores, {needs.memory:g} GB and "
            f"{gpus:g} GPUs for a task; see --cores, --memory and --gpus, and `ray status`"
        )
    return {"num_cpus": needs.cores, "memory": needs.memory * 1e9, "num_gpus": gpus}
