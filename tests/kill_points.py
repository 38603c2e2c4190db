"""Runs commands, each in a copy of this process, and kills them in the middle of writing.

Called with a list of jobs as JSON, it prints what became of each. A job: ``command`` ("module:attribute"), ``args``,
``kill_at`` (the number of the write at which the signal comes, counted from 1; 0 for never), ``signal``, ``below`` (the
folder whose writes count), ``preload``
(modules to import once) and ``setup`` (a program to run before). A write is: a file is opened for writing, renamed or
removed, or a folder is made.
The libraries are loaded once, so that a run costs what it itself takes. Line ends: code, number of writes seen.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from importlib import import_module
from typing import Any

WRITES = frozenset({"os.rename", "os.remove", "os.mkdir", "os.rmdir"})


def find(name: str) -> Any:
    module, attribute = name.split(":")
    return getattr(import_module(module), attribute)


def run(job: dict[str, Any], tell: int) -> None:
    """Runs a job to its end, whatever that is."""
    seen = 0
    own = os.getpid()

    def watch(event: str, values: tuple[Any, ...]) -> None:
        nonlocal seen
        writes = event == "open" and isinstance(values[2], int) and values[2] & (os.O_WRONLY | os.O_RDWR)
        if os.getpid() == own and (writes or event in WRITES) and str(values[0]).startswith(job["below"]):
            seen += 1
            if seen == job["kill_at"]:
                os.kill(own, job["signal"])

    exec(job.get("setup", ""), {})
    command = find(job["command"])
    null = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(null, stream)
    sys.addaudithook(watch)
    code = 1
    try:
        command.main(args=job["args"], prog_name=command.name)
    except SystemExit as end:
        code = int(end.code or 0)
    finally:
        os.write(tell, json.dumps([code, seen]).encode())
        os._exit(code)


def main() -> None:
    jobs = json.loads(sys.argv[1])
    for job in jobs:
        find(job["command"])
        for name in job.get("preload", ()):
            import_module(name)
    results = []
    for job in jobs:
        listen, tell = os.pipe()
        child = os.fork()
        if not child:
            run(job, tell)
        os.close(tell)
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        told = os.read(listen, 1000)
        os.close(listen)
        results.append([status, json.loads(told)[1] if told else None])
    # Whatever a command printed on the way was thrown away.
    print(json.dumps(results))


if __name__ == "__main__":
    # A copy of a process dies of what its parent ignores.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    main()
