"""Tasks on the machines of a Ray cluster, placed by what they need and tried again if lost."""

import importlib
import importlib.util
import os
import secrets
import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from types import ModuleType
from typing import Any
from urllib.parse import urlsplit

from iic.core.errors import InputError
from iic.experiments.sweep import task as tasks
from iic.experiments.sweep.task import Outcome, Place, Source, Task

_LOOK_SECONDS = 0.5
_REACH_SECONDS = 10.0


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
        raise InputError(
            "ray: not installed; `make setup EXTRAS=cluster` installs requirements/cluster.txt"
        )


@contextmanager
def connected(address: str | None, cores: int | None = None) -> Iterator[ModuleType]:
    """Ray, connected to a cluster, or to one of its own on this machine that ends with the block.

    Args:
        address: of the cluster's head, or None.
        cores: that Ray of its own may use; None = all.

    Raises:
        InputError: nothing answers there, or it is of another version, or the connection is lost.
    """
    check_installed()
    if address is None:
        _keep_to_oneself()
    else:
        _check_reachable(address)
    import ray

    where = f"--cluster {address}" if address else "Ray on this machine"
    faults = (ray.exceptions.RayError, ConnectionError, RuntimeError, ValueError, TimeoutError)
    quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": "ERROR"}
    try:
        if address is None:
            ray.init("local", num_cpus=cores, include_dashboard=False, **quiet)
        else:
            ray.init(address, **quiet)
    except faults as error:
        raise InputError(
            f"{where}: {_first_line(error)}; docs/scaling.md tells how to start a cluster and to "
            "share its token"
        ) from error
    # What workers run; their own copies may be of another commit.
    shipped = (tasks, importlib.import_module(__name__))
    for module in shipped:
        ray.cloudpickle.register_pickle_by_value(module)
    try:
        yield ray
    except (ray.exceptions.RayError, ConnectionError) as error:
        raise InputError(
            f"{where}: lost ({_first_line(error)}); what was finished is kept, run this again for "
            "the rest"
        ) from error
    finally:
        ray.shutdown()
        for module in shipped:
            ray.cloudpickle.unregister_pickle_by_value(module)


def _keep_to_oneself() -> None:
    """Settings of Ray's for one machine, which it reads when it is imported."""
    # No machine beside this one: then Ray listens on 127.0.0.1 alone, here as elsewhere.
    os.environ["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "0"
    # Nor other users of this one, who could else run code as this one.
    os.environ["RAY_AUTH_MODE"] = "token"
    os.environ["RAY_AUTH_TOKEN"] = secrets.token_hex(32)
    # Ray's own limit is none: a task that memory has no room for would never end.
    os.environ.setdefault("RAY_task_oom_retries", "1")


def _check_reachable(address: str) -> None:
    """Raise InputError if nobody listens there; Ray itself would try for minutes."""
    parts = urlsplit(address if "://" in address else f"//{address}")
    try:
        port = parts.port
    except ValueError:
        port = None
    if not parts.hostname or port is None:
        raise InputError(f"--cluster {address}: expected HOST:PORT or ray://HOST:PORT")
    try:
        socket.create_connection((parts.hostname, port), timeout=_REACH_SECONDS).close()
    except OSError as error:
        raise InputError(
            f"--cluster {address}: nobody answers ({error.strerror or error}); `ray start --head` "
            "on the cluster's first machine prints the address"
        ) from error


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0].rstrip(".") if lines else type(error).__name__


def place_of(ray: ModuleType, needs: Needs, scratch: str | None, packages: dict[str, str]) -> Place:
    """What each task may use of its machine; a GPU where the cluster has any and none is named."""
    has_gpu = ray.cluster_resources().get("GPU", 0) > 0
    gpus = float(has_gpu) if needs.gpus is None else needs.gpus
    return Place(needs.cores, gpus, scratch, packages)


def prepare_machines(ray: ModuleType, source: Source, place: Place, needs: Needs) -> None:
    """Bring the shared data to each machine, and see that tasks can run there.

    Raises:
        InputError: no machine has room for a task, or some cannot run any.
    """
    wanted = {"CPU": place.threads, "memory": needs.memory * 1e9, "GPU": place.gpus}
    fit = [
        node
        for node in ray.nodes()
        if node["Alive"] and all(node["Resources"].get(k, 0) >= v for k, v in wanted.items())
    ]
    if not fit:
        raise InputError(
            f"no machine of the cluster has {place.threads} cores, {needs.memory:g} GB and "
            f"{place.gpus:g} GPUs for a task; see --cores, --memory and --gpus, and `ray status`"
        )
    on = ray.util.scheduling_strategies.NodeAffinitySchedulingStrategy
    prepare = ray.remote(num_cpus=0, max_retries=0)(tasks.prepare)
    waiting = {
        prepare.options(scheduling_strategy=on(node["NodeID"], soft=False)).remote(
            source, place
        ): node["NodeManagerAddress"]
        for node in fit
    }
    unfit = []
    for reference, address in waiting.items():
        try:
            why = ray.get(reference)
        except ray.exceptions.RayError:
            continue  # Has just been lost, which the tasks live with.
        if why:
            unfit.append(f"{address}: {why}")
    if unfit:
        raise InputError(f"no task can run on {'; '.join(unfit)}")


def run_tasks(
    ray: ModuleType, wanted: Sequence[Task], needs: Needs, show: Callable[[Work], None]
) -> Iterator[Outcome]:
    """Run tasks on the cluster; yield how each ended, as they end.

    Args:
        ray: connected.
        wanted: the tasks.
        needs: of each.
        show: is called twice a second with what is at work.
    """
    # On the head, which is the machine that cannot be lost anyway.
    board = (
        ray.remote(num_cpus=0, resources={"node:__internal_head__": 0.001}, max_restarts=-1)(Board)
        .options(max_task_retries=-1)
        .remote()
    )
    work = ray.remote(max_retries=needs.retries, num_cpus=needs.cores, memory=needs.memory * 1e9)(
        _work
    )
    names = {
        work.options(name=task.name, num_gpus=task.place.gpus).remote(task, board): task.name
        for task in wanted
    }
    while names:
        ended, _ = ray.wait(list(names), timeout=_LOOK_SECONDS)
        for reference in ended:
            yield _outcome(ray, reference, names.pop(reference))
        left = set(names.values())
        # A task that was lost cannot take its own line away.
        show({name: at for name, at in ray.get(board.read.remote()).items() if name in left})


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
        # Its machine was lost more often than it is tried again, for one.
        return Outcome(name, "failed", "", 0.0, f"{type(error).__name__}: {error}\n")
    return found
