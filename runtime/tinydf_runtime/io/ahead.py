"""Generator or function -> run in a thread ahead of its consumer; bounded, errors raised to the consumer."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Generator
from types import TracebackType
from typing import Generic, TypeVar

from tinydf_runtime.errors import NoResourcesError

Item = TypeVar("Item")
Result = TypeVar("Result")


class Ahead(Generic[Item]):
    """Runs a generator in a thread, a bounded number of items ahead of its consumer.

    Items keep their order. An error of the generator is raised to the consumer after the items before it. Leaving the
    ``with`` block stops the generator at its next item, closes it and waits until its thread has ended.

    Attributes:
        depth: Items buffered at most; one more may be in progress. The generator may change it.
    """

    def __init__(self, items: Generator[Item, None, None], depth: int, name: str) -> None:
        """Takes what to run; nothing runs yet.

        Args:
            items: Used by the new thread alone from here on.
            depth: See the attribute.
            name: Name of the thread, for debuggers.
        """
        self._items = items
        self.depth = depth
        self._ready: deque[Item] = deque()
        self._changed = threading.Condition()
        self._closed = False
        self._ended = False
        self._error: BaseException | None = None
        # A daemon, since a second Ctrl-C must be able to leave one behind that hangs in a file system.
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def __enter__(self) -> Ahead[Item]:
        """Starts, and returns itself."""
        _start(self._thread)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stops, and waits for the thread."""
        self.close()
        self._thread.join()

    def __iter__(self) -> Ahead[Item]:
        """Returns itself."""
        return self

    def __next__(self) -> Item:
        """Returns the next item, waiting for it. After ``close`` there is none."""
        with self._changed:
            self._changed.wait_for(lambda: self._ready or self._ended or self._closed)
            if self._ready and not self._closed:
                self._changed.notify_all()
                return self._ready.popleft()
            error, self._error = self._error, None
        if error is not None and not self._closed:
            raise error
        raise StopIteration

    def close(self) -> None:
        """Asks the thread to stop and drops buffered items. Does not wait for it; leaving the ``with`` block does."""
        with self._changed:
            self._closed = True
            self._ready.clear()
            self._changed.notify_all()

    def _run(self) -> None:
        """Makes items while there is room for them."""
        error: BaseException | None = None
        try:
            while self._wait_for_room():
                self._put(next(self._items))
        except StopIteration:
            pass
        # Every error is handed on: the consumer would otherwise wait for ever.
        except BaseException as caught:
            error = caught
        finally:
            self._finish(error)

    def _wait_for_room(self) -> bool:
        """Waits for room in the buffer; returns whether more items are wanted."""
        with self._changed:
            self._changed.wait_for(lambda: len(self._ready) < self.depth or self._closed)
            return not self._closed

    def _put(self, item: Item) -> None:
        """Hands an item over."""
        with self._changed:
            if not self._closed:
                self._ready.append(item)
                self._changed.notify_all()

    def _finish(self, error: BaseException | None) -> None:
        """Closes the generator and signals the end to the consumer."""
        try:
            self._items.close()
        except Exception as caught:
            error = error or caught
        with self._changed:
            self._error = error
            self._ended = True
            self._changed.notify_all()


def _start(thread: threading.Thread) -> None:
    """Starts a thread.

    Raises:
        NoResourcesError: The system has none left.
    """
    try:
        thread.start()
    except RuntimeError as error:
        raise NoResourcesError(f"{thread.name}: {error}. Try again when less runs on this machine.") from error


class Task(Generic[Result]):
    """Calls a function in a thread. Leaving the ``with`` block waits for its end."""

    def __init__(self, work: Callable[[], Result], name: str) -> None:
        """Takes what to call.

        Args:
            work: Called once, in the thread.
            name: Name of the thread, for debuggers.
        """
        self._work = work
        self._done: list[Result] = []
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def __enter__(self) -> Task[Result]:
        """Starts, and returns itself."""
        _start(self._thread)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Waits for the thread."""
        self._thread.join()

    def result(self) -> Result:
        """Returns what the function returned, waiting for it, or raises what it raised."""
        self._thread.join()
        if self._error is not None:
            raise self._error
        return self._done[0]

    def _run(self) -> None:
        try:
            self._done.append(self._work())
        # Raised to the caller of ``result``.
        except BaseException as caught:
            self._error = caught
