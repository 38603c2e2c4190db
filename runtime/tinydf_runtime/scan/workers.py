"""Where tasks run: processes of this machine, one core each, or the workers of a Dask cluster.

A process that may use one core alone makes one thread where OpenCV and FFmpeg would else make one for each core of the
machine: with as many processes as cores that would be the square of their number.
"""

from __future__ import annotations

import logging
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager, suppress
from multiprocessing import connection, get_context, parent_process
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, ParamSpec, Protocol, TypeVar

from tinydf_runtime.errors import UnavailableError, needs, one_line

if TYPE_CHECKING:
    from distributed import Client

P = ParamSpec("P")
T = TypeVar("T")


class Workers(Protocol):
    """What runs tasks. A task's future may fail with the task's exception, or because its worker died."""

    @property
    def tries(self) -> bool:
        """Whether it runs a task that failed again by itself."""

    @property
    def free(self) -> int:
        """How many more tasks it takes now."""

    def submit(self, task: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Starts a task."""


class LocalWorkers:
    """Processes of this machine, one pool each, so that a crash can be traced to its file."""

    tries = False

    def __init__(self, count: int) -> None:
        """Starts no process yet: each starts with its first task.

        Args:
            count: How many run at once, each pinned to one core.
        """
        self._cores = _idlest_first(_cores())
        self._free = set(range(count))
        self._pools: dict[int, tuple[ProcessPoolExecutor, Future[int]]] = {}

    def __enter__(self) -> LocalWorkers:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Kills the processes and waits for their end, not for their tasks."""
        for place, (_, process) in self._pools.items():
            if place not in self._free and process.done() and process.exception() is None:
                with suppress(ProcessLookupError):
                    os.kill(process.result(), signal.SIGTERM)
        with ThreadPoolExecutor(len(self._pools) or 1) as ends:
            for pool, _ in self._pools.values():
                ends.submit(pool.shutdown, cancel_futures=True)

    @property
    def free(self) -> int:
        """How many processes have nothing to do."""
        return len(self._free)

    def submit(self, task: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Starts a task in a process that has nothing to do; there must be one.

        The one on the idlest core, so that of few tasks none waits for another program, and no process starts for none.
        """
        place = min(self._free)
        self._free.remove(place)
        if place not in self._pools:
            pool = ProcessPoolExecutor(
                1, get_context("spawn"), initializer=_begin, initargs=(self._cores[place % len(self._cores)],)
            )
            self._pools[place] = pool, pool.submit(os.getpid)
        future = self._pools[place][0].submit(task, *args, **kwargs)
        future.add_done_callback(lambda done: self._take_back(place, done))
        return future

    def _take_back(self, place: int, future: Future[T]) -> None:
        """Frees a slot, and replaces its process if that died."""
        if not future.cancelled() and isinstance(future.exception(), BrokenProcessPool):
            self._pools.pop(place)[0].shutdown(wait=False)
        self._free.add(place)


def _cores() -> list[int]:
    """Returns the numbers of the cores that this process may use."""
    return sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else list(range(os.cpu_count() or 1))


_LOOK_S = 0.1
"""How long the cores are looked at: ten ticks of the system's clock."""


def _idlest_first(cores: list[int]) -> list[int]:
    """Returns cores by how idle they are now; in the given order where the system does not tell."""
    try:
        before = idle_ticks()
        time.sleep(_LOOK_S)
        after = idle_ticks()
    except OSError:
        return cores
    return sorted(cores, key=lambda core: before.get(core, 0) - after.get(core, 0))


def idle_ticks() -> dict[int, int]:
    """Returns how long each core has been idle since the start (proc_stat(5)).

    Raises:
        OSError: The system does not tell.
    """
    rows = [line.split() for line in Path("/proc/stat").read_text(encoding="ascii").splitlines()]
    return {int(row[0][3:]): int(row[4]) for row in rows if row and row[0][3:].isdecimal() and row[0][:3] == "cpu"}


def _begin(core: int) -> None:
    """Prepares a worker: pinned to one core, ignoring Ctrl-C, ending with its parent."""
    # A terminal sends Ctrl-C to all processes: the parent keeps what is done, then ends its workers.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {core})
    threading.Thread(target=_end_with_parent, name="tinydf-parent", daemon=True).start()


def _end_with_parent() -> None:
    """Ends this process when its parent was killed."""
    parent = parent_process()
    if parent is not None:
        connection.wait([parent.sentinel])
        os._exit(1)


_CONNECT_S = 5
_WORKERS_S = 30
_PER_THREAD = 2
"""Tasks queued per thread of the cluster beside the running one, so that none is idle while results travel."""
_COUNT_EVERY_S = 5.0
"""Seconds between two counts of the cluster's workers, which come and go."""


class ClusterWorkers:
    """Threads of a cluster's workers. A task that fails, or whose worker dies, is run again by the scheduler."""

    tries = True

    def __init__(self, client: Client, executor: Executor) -> None:
        """Takes a connection and its executor; see ``connected``."""
        self._client, self._executor = client, executor
        # Futures end in a thread of distributed.
        self._running: set[Future[Any]] = set()
        self._threads = 0
        self._counted_s = float("-inf")

    @property
    def free(self) -> int:
        """How many more tasks the cluster takes now."""
        now_s = time.monotonic()
        if now_s - self._counted_s >= _COUNT_EVERY_S:
            self._threads, self._counted_s = sum(self._client.nthreads().values()), now_s
        # Without any worker, what is left to do waits at the scheduler for one.
        return max(1, self._threads) * (1 + _PER_THREAD) - len(self._running)

    def submit(self, task: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Hands a task to the scheduler."""
        future = self._executor.submit(task, *args, **kwargs)
        self._running.add(future)
        future.add_done_callback(self._running.discard)
        return future


@contextmanager
def connected(address: str, retries: int) -> Iterator[ClusterWorkers]:
    """Gives the workers of a running cluster; what they have in hand at the block's end is given up.

    Args:
        address: Of its scheduler, such as tcp://host:8786.
        retries: How often the scheduler runs a task again that failed.

    Raises:
        MissingExtraError: distributed is not installed.
        UnavailableError: There is no scheduler at the address, or it has no workers.
    """
    with needs("cluster"):
        from distributed import Client
    # They would log a traceback for every lost connection.
    for name in ("distributed", "distributed.client", "distributed.core", "distributed.comm"):
        logging.getLogger(name).setLevel(logging.CRITICAL + 1)
    try:
        client = Client(address, timeout=_CONNECT_S, set_as_default=False)
    except (OSError, ValueError, TimeoutError) as error:
        reason = one_line(error)
        raise UnavailableError(f"{address}: no scheduler answers ({reason}). Check the address.") from error
    try:
        try:
            client.wait_for_workers(1, timeout=_WORKERS_S)
        except TimeoutError as error:
            raise UnavailableError(
                f"{address}: the scheduler has no workers. Start some with: dask worker {address}"
            ) from error
        executor = client.get_executor(pure=False, retries=retries)
        try:
            yield ClusterWorkers(client, executor)
        finally:
            executor.shutdown(wait=False)
    finally:
        client.close(timeout=_CONNECT_S)
