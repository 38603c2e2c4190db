"""Work spread over processes, any of which may die: a damaged video can crash its decoder."""

from __future__ import annotations

import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import connection, get_context, parent_process
from typing import TypeVar

import cv2

Item = TypeVar("Item")
Result = TypeVar("Result")


def run_each(
    function: Callable[[Item], Result], items: Iterable[Item], workers: int
) -> Iterator[tuple[Item, Result | None]]:
    """Yields each item with its result as it finishes; None where the item killed its process.

    An item can be begun twice. When the caller stops early, what has begun is finished and nothing else is begun.

    Args:
        function: Importable by name; with one worker it runs in this process.
        items: What it is called with.
        workers: Processes.
    """
    if workers == 1:
        for item in items:
            yield item, function(item)
        return
    waiting = deque(items)
    while waiting:
        flying: dict[Future[Result], Item] = {}
        pool = _pool(min(workers, len(waiting)))
        try:
            while waiting or flying:
                while waiting and len(flying) < 2 * workers:
                    # Taken off only then: to a broken pool nothing can be submitted.
                    future = pool.submit(function, waiting[0])
                    flying[future] = waiting.popleft()
                for future in wait(flying, return_when=FIRST_COMPLETED).done:
                    result = future.result()
                    yield flying.pop(future), result
        except BrokenProcessPool:
            pass
        finally:
            pool.shutdown(cancel_futures=True)
        # Any of these may have been the one; each gets a process that it can take down alone.
        for item in flying.values():
            yield item, _run_alone(function, item)


def _run_alone(function: Callable[[Item], Result], item: Item) -> Result | None:
    with _pool(1) as pool:
        try:
            return pool.submit(function, item).result()
        except BrokenProcessPool:
            return None


def _pool(workers: int) -> ProcessPoolExecutor:
    # A fork would copy locks that OpenCV's or ONNX Runtime's threads hold.
    return ProcessPoolExecutor(workers, mp_context=get_context("spawn"), initializer=_begin_worker)


def _begin_worker() -> None:
    """Leaves Ctrl-C to the parent, one thread to OpenCV, and ends the process when its parent is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    cv2.setNumThreads(1)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    # A parent that was killed cannot tell its workers, which would wait for work for ever.
    if (parent := parent_process()) is not None:
        connection.wait([parent.sentinel])
        os._exit(1)
