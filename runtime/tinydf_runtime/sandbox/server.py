"""Fork server: has the decoders loaded and forks one worker for each input.

It starts no thread and reads no input, so that the forks are clean. It ends when the process that started it does.
"""

from __future__ import annotations

import gc
import json
import os
import select
import signal
import socket
from contextlib import suppress

from tinydf_runtime.sandbox.worker import work

REQUEST_BYTES = 1 << 17


def main(descriptor: int) -> None:
    """Serves requests until the other end of the socket is closed.

    Args:
        descriptor: Of a socket that keeps messages apart. Each carries what to read, as JSON, and two descriptors: a
            socket to the client, and the shared memory.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    gc.freeze()
    Server(socket.socket(fileno=descriptor)).serve()


class Server:
    """Forks workers, kills those whose client is gone, and reports how each ended."""

    def __init__(self, control: socket.socket) -> None:
        """Takes the socket on which requests come."""
        self._control = control
        self._workers: dict[int, tuple[int, socket.socket]] = {}
        self._poll = select.poll()
        self._poll.register(control, select.POLLIN)
        self._ended, self._wake = os.pipe()
        for end in (self._ended, self._wake):
            os.set_blocking(end, False)
        self._poll.register(self._ended, select.POLLIN)
        signal.set_wakeup_fd(self._wake, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda number, frame: None)

    def serve(self) -> None:
        """Serves until the control socket is closed; then kills the remaining workers."""
        while True:
            for descriptor, _ in self._poll.poll():
                if descriptor == self._ended:
                    self._reap()
                elif descriptor != self._control.fileno():
                    # One that ended in the same moment is not there any more.
                    if descriptor in self._workers:
                        self._kill(descriptor)
                elif not self._take_request():
                    for pid, _ in self._workers.values():
                        os.kill(pid, signal.SIGKILL)
                    return

    def _take_request(self) -> bool:
        """Starts a worker for the next request; False where there will be none."""
        message, descriptors, _, _ = socket.recv_fds(self._control, REQUEST_BYTES, 2)
        if not message:
            return False
        if len(descriptors) < 2:
            # Too many open files: the descriptors did not arrive. The client sees its socket closed.
            for descriptor in descriptors:
                os.close(descriptor)
            return True
        channel, memory = socket.socket(fileno=descriptors[0]), descriptors[1]
        try:
            pid = os.fork()
        except OSError as error:
            os.close(memory)
            with channel, suppress(OSError):
                channel.sendall(json.dumps({"refused": str(error)}).encode() + b"\n")
            return True
        if not pid:
            self._become_worker(message, channel, memory)
        os.close(memory)
        self._workers[channel.fileno()] = (pid, channel)
        # No event is subscribed: hang-ups are always reported.
        self._poll.register(channel, 0)
        return True

    def _become_worker(self, message: bytes, channel: socket.socket, memory: int) -> None:
        """Does the work and ends the process."""
        code = 1
        try:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            self._control.close()
            for _, other in self._workers.values():
                other.close()
            work(json.loads(message), channel, memory)
            code = 0
        finally:
            os._exit(code)

    def _kill(self, descriptor: int) -> None:
        """Kills a worker whose client is gone."""
        self._poll.unregister(descriptor)
        os.kill(self._workers[descriptor][0], signal.SIGKILL)

    def _reap(self) -> None:
        """Reports to each client how its worker ended."""
        os.read(self._ended, 1 << 10)
        for descriptor, (pid, channel) in list(self._workers.items()):
            found, status = os.waitpid(pid, os.WNOHANG)
            if not found:
                continue
            with suppress(OSError):
                channel.sendall(json.dumps({"exit": os.waitstatus_to_exitcode(status)}).encode() + b"\n")
            with suppress(KeyError):
                self._poll.unregister(descriptor)
            channel.close()
            del self._workers[descriptor]
