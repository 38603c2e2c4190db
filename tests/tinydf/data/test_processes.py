import multiprocessing
import subprocess
import sys

import pytest

from tinydf.data.processes import run_each

# What can be sent to another process must be importable there: Python's own eval is.


def test_one_worker_works_in_this_process_and_in_order() -> None:
    assert list(run_each(len, ["a", "bbb", ""], 1)) == [("a", 1), ("bbb", 3), ("", 0)]


def test_an_item_that_kills_its_process_is_the_only_one_lost() -> None:
    deadly = "__import__('os')._exit(3)"
    assert dict(run_each(eval, ["1", deadly, "3", "4"], 2)) == {"1": 1, deadly: None, "3": 3, "4": 4}


def test_an_error_of_the_function_comes_through_and_leaves_no_process() -> None:
    with pytest.raises(ZeroDivisionError):
        list(run_each(eval, ["1", "1 / 0", "3"], 2))
    assert not multiprocessing.active_children()


def test_a_worker_loads_no_torch() -> None:
    # Eight of them would take gigabytes, and seconds to begin.
    code = "import sys, tinydf.cli.prepare; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_workers_end_when_their_parent_is_killed() -> None:
    item = "print('begun', flush=True) or __import__('time').sleep(600)"
    code = f"from tinydf.data.processes import run_each\nlist(run_each(eval, [{item!r}] * 2, 2))"
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None and parent.stdout.readline() == "begun\n"
        parent.kill()
        # The pipe ends when the last process that holds it has.
        assert "begun\n".startswith(parent.communicate(timeout=60)[0])
