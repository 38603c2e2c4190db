"""Work ahead: order kept, errors carried over, a bound, and no thread left behind."""

from __future__ import annotations

import threading
from collections.abc import Generator

import pytest

from tinydf_runtime.io.ahead import Ahead, Task

pytestmark = pytest.mark.usefixtures("no_thread_is_left")


class Counted:
    """A generator of numbers that notes how far it got and whether it was closed."""

    def __init__(self, count: int, fail_at: int | None = None) -> None:
        self.made = 0
        self.closed_in: threading.Thread | None = None
        self.count, self.fail_at = count, fail_at

    def items(self) -> Generator[int, None, None]:
        try:
            for number in range(self.count):
                if number == self.fail_at:
                    raise ValueError(f"at {number}")
                self.made += 1
                yield number
        finally:
            self.closed_in = threading.current_thread()


@pytest.mark.parametrize("depth", [1, 3, 1000])
def test_items_come_in_order_and_all(depth: int) -> None:
    with Ahead(Counted(500).items(), depth, "numbers") as ahead:
        assert list(ahead) == list(range(500))
        assert list(ahead) == []


def test_an_error_comes_after_the_items_before_it() -> None:
    taken = []
    with pytest.raises(ValueError, match="at 3"), Ahead(Counted(9, fail_at=3).items(), 8, "numbers") as ahead:
        for number in ahead:
            taken.append(number)
    assert taken == [0, 1, 2]


def test_no_more_than_the_depth_waits() -> None:
    counted = Counted(100)
    full = threading.Event()

    def watched() -> Generator[int, None, None]:
        for number in counted.items():
            if counted.made == 3:
                full.set()
            yield number

    with Ahead(watched(), 3, "numbers") as ahead:
        assert full.wait(10)
        # Given time, a thread without a bound would go on.
        threading.Event().wait(0.05)
        assert counted.made == 3
        assert next(ahead) == 0
    assert counted.made <= 4


def test_leaving_early_stops_and_closes_the_generator_in_its_own_thread() -> None:
    counted = Counted(10**9)
    with Ahead(counted.items(), 2, "numbers") as ahead:
        assert next(ahead) == 0
    assert counted.closed_in is not None and counted.closed_in.name == "numbers"
    assert counted.made < 10


def test_leaving_with_an_error_stops_too() -> None:
    counted = Counted(10**9)
    with pytest.raises(KeyError), Ahead(counted.items(), 2, "numbers"):
        raise KeyError
    assert counted.closed_in is not None


def test_an_error_after_leaving_is_not_raised() -> None:
    leave = threading.Event()

    def fails_late() -> Generator[int, None, None]:
        yield 0
        leave.wait(10)
        raise ValueError

    with Ahead(fails_late(), 1, "numbers") as ahead:
        assert next(ahead) == 0
        leave.set()


def test_a_chain_ends_from_its_end_while_its_middle_waits() -> None:
    go_on = threading.Event()

    def slow() -> Generator[int, None, None]:
        yield 0
        go_on.wait(10)
        yield 1

    with Ahead(slow(), 1, "first") as first:
        with Ahead((number * 10 for number in first), 1, "second") as second:
            assert next(second) == 0
            go_on.set()
        assert list(first) in ([], [1])


def test_an_error_crosses_a_chain() -> None:
    with (
        pytest.raises(ValueError, match="at 2"),
        Ahead(Counted(5, fail_at=2).items(), 1, "first") as first,
        Ahead((number * 10 for number in first), 1, "second") as second,
    ):
        assert [next(second), next(second)] == [0, 10]
        next(second)


def test_a_taker_that_waits_is_told_of_the_end() -> None:
    ahead = Ahead(Counted(0).items(), 1, "numbers")
    with ahead:
        assert next(ahead, None) is None


def test_the_generator_may_widen_its_own_bound() -> None:
    counted = Counted(50)
    done = threading.Event()

    def widening() -> Generator[int, None, None]:
        ahead.depth = 51
        yield from counted.items()
        done.set()

    ahead = Ahead(widening(), 1, "numbers")
    with ahead:
        assert done.wait(10)
        assert counted.made == 50


def test_a_task_gives_its_result_or_its_error() -> None:
    with Task(lambda: 7, "seven") as task:
        assert task.result() == 7
    with Task(lambda: 1 // 0, "zero") as task, pytest.raises(ZeroDivisionError):
        task.result()


def test_a_task_that_nobody_asks_is_waited_for() -> None:
    done: list[bool] = []
    with Task(lambda: done.append(True), "work"):
        pass
    assert done == [True]
