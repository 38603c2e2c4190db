"""Where tasks run, instead of this machine: the workers of a Dask cluster, with Dask's own retries."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from tinydf_runtime.errors import UnavailableError, needs

if TYPE_CHECKING:
    from distributed import Client

P = ParamSpec("P")
T = TypeVar("T")

_CONNECT_S = 5
_WORKERS_S = 30
_PER_THREAD = 2
"""Tasks that wait for each thread of the cluster beside the one in hand, so that none is idle while results travel."""
_COUNT_EVERY_S = 5.0
"""Between two looks at how many workers there are: they come and go."""


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
    # They would tell of every lost connection with a stack.
    for name in ("distributed", "distributed.client", "distributed.core", "distributed.comm"):
        logging.getLogger(name).setLevel(logging.CRITICAL + 1)
    try:
        client = Client(address, timeout=_CONNECT_S, set_as_default=False)
    except (OSError, ValueError, TimeoutError) as error:
        reason = " ".join(str(error).split()) or type(error).__name__
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
