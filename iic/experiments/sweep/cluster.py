"""Tasks on a Ray cluster: scheduled by their needs, retried if their machine is lost."""

import importlib
import importlib.util
import os
import secrets
import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from types import ModuleType
from typing import Any
from urllib.parse import urlsplit

from iic.core.errors import InputError
from iic.experiments.sweep import task as tasks
from iic.experiments.sweep.task import Checkout, Outcome, Place, Task

_POLL_SECONDS = 0.5
_CONNECT_SECONDS = 10.0
_ATTEMPTS = 3


@dataclass(frozen=True)
class Needs:
    """Resources of one task.

    Attributes:
        cores: Cores that Ray reserves for a task, and the number of its threads.
        memory: Memory per task in GB.
        gpus: GPUs per task; may be fractional. None = one if the cluster has GPUs.
        retries: Number of times that a task is retried after its machine was lost.
    """

    cores: int
    memory: float
    gpus: float | None
    retries: int


# Machine and step of each running task, by name of the experiment.
Work = dict[str, tuple[str, str]]


class Board:
    """Ray actor to which the tasks report their steps and from which the driver reads them."""

    def __init__(self) -> None:
        """Start without running tasks."""
        self._work: Work = {}

    def record(self, name: str, machine: str, step: str) -> None:
        """Record the step of a task; an empty step removes the task."""
        if step:
            self._work[name] = (machine, step)
        else:
            self._work.pop(name, None)

    def read(self) -> Work:
        """Return machine and step of each running task."""
        return self._work


def check_ray_installed() -> None:
    """Raise an InputError if Ray is not installed."""
    if importlib.util.find_spec("ray") is None:
        raise InputError(
            "ray: not installed; `make setup EXTRAS=cluster` installs requirements/cluster.txt"
        )


@contextmanager
def connected(address: str | None, cores: int | None = None) -> Iterator[ModuleType]:
    """Connect to a Ray cluster, or start Ray on this machine until the block ends.

    Args:
        address: Address of the cluster's head, HOST:PORT or ray://HOST:PORT; None = this machine.
        cores: Cores that Ray on this machine uses; None = all.

    Yields:
        The module `ray`, connected.

    Raises:
        InputError: The cluster does not answer, has another version of Ray or Python, or the
            connection is lost.
    """
    check_ray_installed()
    if address is None:
        _restrict_to_this_machine()
    else:
        _check_reachable(address)
    import ray

    where = f"--cluster {address}" if address else "Ray on this machine"
    faults = (ray.exceptions.RayError, ConnectionError, RuntimeError, ValueError, TimeoutError)
    options: dict[str, Any] = {"log_to_driver": False, "logging_level": "ERROR"}
    try:
        if address is None:
            ray.init("local", num_cpus=cores, include_dashboard=False, **options)
        else:
            _connect(ray, address, options)
    except faults as error:
        raise InputError(
            f"{where}: {_reason(error)}; docs/scaling.md describes how to start a cluster and "
            "to share its token"
        ) from error
    # Sent to the workers, whose own copies may be of another commit.
    shipped = (tasks, importlib.import_module(__name__))
    for module in shipped:
        ray.cloudpickle.register_pickle_by_value(module)
    try:
        yield ray
    except (ray.exceptions.RayError, ConnectionError) as error:
        raise InputError(
            f"{where}: connection lost ({_reason(error)}); finished experiments are kept, run "
            "this command again for the rest"
        ) from error
    finally:
        ray.shutdown()
        for module in shipped:
            ray.cloudpickle.unregister_pickle_by_value(module)


def _restrict_to_this_machine() -> None:
    """Set the variables that Ray reads at import for a cluster of one machine."""
    # With "0", Ray listens on 127.0.0.1 only, on Linux too.
    os.environ["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "0"
    # Without a token, other users of this machine could run code as this user.
    os.environ["RAY_AUTH_MODE"] = "token"
    os.environ["RAY_AUTH_TOKEN"] = secrets.token_hex(32)
    # By default, Ray retries a task that needs too much memory without end.
    os.environ.setdefault("RAY_task_oom_retries", "1")


def _check_reachable(address: str) -> None:
    """Raise an InputError if the address does not answer; Ray itself would try for minutes."""
    parts = urlsplit(address if "://" in address else f"//{address}")
    try:
        port = parts.port
    except ValueError:
        port = None
    if not parts.hostname or port is None:
        raise InputError(f"--cluster {address}: expected HOST:PORT or ray://HOST:PORT")
    try:
        socket.create_connection((parts.hostname, port), timeout=_CONNECT_SECONDS).close()
    except OSError as error:
        raise InputError(
            f"--cluster {address}: no answer ({error.strerror or error}); `ray start --head` on "
            "the cluster's first machine prints the address"
        ) from error


def _connect(ray: ModuleType, address: str, options: dict[str, Any]) -> None:
    """Connect to a cluster, again if its head could not start a server for this client.

    A busy head may need longer for that than Ray waits, which is half a minute.
    """
    for _ in range(_ATTEMPTS - 1):
        with suppress(ConnectionAbortedError):
            ray.init(address, **options)
            return
    ray.init(address, **options)


def _reason(error: Exception) -> str:
    """Return the first line of an error, with the last line if the first announces it."""
    lines = str(error).strip().splitlines() or [type(error).__name__]
    first, last = (lines[place].strip().rstrip(".") for place in (0, -1))
    return f"{first} {last}" if first.endswith(":") and len(lines) > 1 else first


def place_of(ray: ModuleType, needs: Needs, scratch: str | None, packages: dict[str, str]) -> Place:
    """Return the resources and requirements of a task on its machine.

    Args:
        ray: Connected module `ray`.
        needs: Resources of one task; by default one GPU if the cluster has GPUs.
        scratch: Folder for clones on each machine; None = the system's temporary folder.
        packages: Required versions of packages, by name.

    Returns:
        Place of all tasks of the sweep.
    """
    has_gpu = ray.cluster_resources().get("GPU", 0) > 0
    gpus = float(has_gpu) if needs.gpus is None else needs.gpus
    return Place(needs.cores, gpus, scratch, packages)


def prepare_machines(ray: ModuleType, checkout: Checkout, place: Place, needs: Needs) -> None:
    """Pull the shared data on each machine and check that tasks can run there.

    Args:
        ray: Connected module `ray`.
        checkout: Commit and remotes of the sweep.
        place: Resources and requirements of a task.
        needs: Resources of one task.

    Raises:
        InputError: No machine has enough resources for a task, or a machine with enough resources
            cannot run one.
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
            checkout, place
        ): node["NodeManagerAddress"]
        for node in fit
    }
    unfit = []
    for reference, address in waiting.items():
        try:
            why = ray.get(reference)
        except ray.exceptions.RayError:
            continue  # The machine was just lost; its tasks will run elsewhere.
        if why:
            unfit.append(f"{address}: {why}")
    if unfit:
        raise InputError(f"no task can run on {'; '.join(unfit)}")


def run_tasks(
    ray: ModuleType, wanted: Sequence[Task], needs: Needs, show: Callable[[Work], None]
) -> Iterator[Outcome]:
    """Run tasks on the cluster and yield the outcome of each as it ends.

    Args:
        ray: Connected module `ray`.
        wanted: Tasks to run.
        needs: Resources of one task.
        show: Function called about twice a second with the running tasks.

    Yields:
        Outcome of each task, in the order of their ends.
    """
    # The board is on the head, since the sweep cannot go on without that machine anyway.
    board = (
        ray.remote(num_cpus=0, resources={"node:__internal_head__": 0.001}, max_restarts=-1)(Board)
        .options(max_task_retries=-1)
        .remote()
    )
    run = ray.remote(max_retries=needs.retries, num_cpus=needs.cores, memory=needs.memory * 1e9)(
        _run_on_worker
    )
    names = {
        run.options(name=task.name, num_gpus=task.place.gpus).remote(task, board): task.name
        for task in wanted
    }
    while names:
        ended, _ = ray.wait(list(names), timeout=_POLL_SECONDS)
        for reference in ended:
            yield _outcome(ray, reference, names.pop(reference))
        left = set(names.values())
        # A lost task cannot remove itself from the board.
        show({name: at for name, at in ray.get(board.read.remote()).items() if name in left})


def _run_on_worker(task: Task, board: Any) -> Outcome:  # noqa: ANN401 - a handle of Ray's
    """Run a task in a worker process of Ray and report its steps to the board."""
    import ray

    machine = ray.util.get_node_ip_address()
    try:
        outcome = tasks.run(task, lambda step: board.record.remote(task.name, machine, step))
        return replace(outcome, machine=machine)
    finally:
        board.record.remote(task.name, machine, "")


def _outcome(ray: ModuleType, reference: object, name: str) -> Outcome:
    try:
        found: Outcome = ray.get(reference)
    except ray.exceptions.RayError as error:
        # For example, the task's machines were lost more often than it may be retried.
        return Outcome(name, "failed", "", 0.0, f"{type(error).__name__}: {error}\n")
    return found
