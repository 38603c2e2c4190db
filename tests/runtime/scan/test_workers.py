"""Worker processes: each keeps to one core, a dead one is replaced, and none outlives its parent."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

import pytest

from tinydf_runtime.scan import workers
from tinydf_runtime.scan.workers import LocalWorkers

PARENT = """
import os, time
from tinydf_runtime.scan.workers import LocalWorkers
if __name__ == "__main__":
    workers = LocalWorkers(1)
    print(workers.submit(os.getpid).result(), flush=True)
    time.sleep(600)
"""


def test_a_dead_worker_fails_its_task_alone_and_is_replaced() -> None:
    with LocalWorkers(2) as pool:
        died, lives = pool.submit(os._exit, 1), pool.submit(os.getpid)
        assert pool.free == 0
        with pytest.raises(BrokenProcessPool):
            died.result()
        first = lives.result()
        assert first != os.getpid() and wait_until(lambda: pool.free == 2)
        again = [pool.submit(os.getpid), pool.submit(os.getpid)]
        found = {future.result() for future in again}
        assert len(found) == 2 and first in found


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="this system does not bind processes to cores")
def test_each_worker_keeps_to_one_core_and_no_second_starts_where_one_will_do() -> None:
    with LocalWorkers(2) as pool:
        first = pool.submit(os.getpid).result()
        assert wait_until(lambda: pool.free == 2)
        assert len(pool.submit(os.sched_getaffinity, 0).result()) == 1
        assert wait_until(lambda: pool.free == 2)
        assert pool.submit(os.getpid).result() == first


def test_the_idlest_core_comes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    assert sorted(workers._idlest_first([0, 1])) == [0, 1]
    ticks = iter([{0: 500, 1: 100, 7: 900}, {0: 501, 1: 110, 7: 905}])
    monkeypatch.setattr(workers, "idle_ticks", lambda: next(ticks))
    assert workers._idlest_first([0, 1, 7]) == [1, 7, 0]


@pytest.mark.skipif(os.name != "posix", reason="SIGKILL is POSIX's")
def test_a_worker_ends_when_its_parent_is_killed() -> None:
    with subprocess.Popen([sys.executable, "-c", PARENT], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        worker = int(parent.stdout.readline())
        parent.send_signal(signal.SIGKILL)
    assert wait_until(lambda: not is_running(worker))


def wait_until(true: object, most_s: float = 60) -> bool:
    """Waits until something is so."""
    assert callable(true)
    end_s = time.monotonic() + most_s
    while not true() and time.monotonic() < end_s:
        time.sleep(0.02)
    return bool(true())


def is_running(process: int) -> bool:
    status = Path(f"/proc/{process}/stat")
    try:
        # Where nobody takes note of an orphan's end, its number stays.
        if status.exists() and status.read_text().rpartition(")")[2].split()[0] == "Z":
            return False
        os.kill(process, 0)
    except (ProcessLookupError, FileNotFoundError):
        return False
    return True
