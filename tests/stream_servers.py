"""Streams on loopback that can be killed, stalled and started again: a true RTSP server and an HTTP server.

RTSP (RFC 2326) carries JPEG pictures over RTP (RFC 2435), interleaved into the one TCP connection. HTTP serves the same
pictures as multipart/x-mixed-replace, which is what network cameras call MJPEG.
"""

from __future__ import annotations

import base64
import socket
import struct
import threading
import time
from collections.abc import Callable
from contextlib import suppress

import cv2
import numpy as np

from tinydf_runtime.types import Image

Picture = Callable[[int], Image]
"""Number of a frame -> the frame: H x W x 3, BGR, uint8; sides are multiples of 8."""

SESSION = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=camera\r\nt=0 0\r\nm=video 0 RTP/AVP 26\r\na=control:video\r\n"
PACKET_BYTES = 1400
CLOCK_HZ = 90_000


class StreamServer:
    """Listens on loopback, one thread a connection. The first frame that a connection gets is number 0."""

    def __init__(self, picture: Picture, fps: float = 25.0, port: int = 0, frames: int | None = None) -> None:
        """Begins to listen.

        Args:
            picture: What to send.
            fps: Frames a second.
            port: 0 for any that is free; the same one again for a server that comes back.
            frames: After how many frames to close a connection, None for never.
        """
        self.picture, self.fps, self.frames = picture, fps, frames
        self.silent = threading.Event()
        self.sent = 0
        self.connections = 0
        self.clock: dict[int, float] = {}
        self._closed = False
        self._open: list[socket.socket] = []
        self._lock = threading.Lock()
        self._listener = socket.socket()
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._listener.bind(("127.0.0.1", port))
        self._listener.listen()
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        """Kills the server: the port refuses and every connection breaks off."""
        with self._lock:
            self._closed = True
            opened = [self._listener, *self._open]
        for connection in opened:
            # A thread that waits in accept or recv wakes by this, not by close.
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
            connection.close()

    def stall(self) -> None:
        """Keeps all connections open and says nothing more on them."""
        self.silent.set()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            with self._lock:
                if self._closed:
                    connection.close()
                    return
                self._open.append(connection)
                self.connections += 1
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=self._serve_quietly, args=(connection,), daemon=True).start()

    def _serve_quietly(self, connection: socket.socket) -> None:
        try:
            self._serve(connection)
        except OSError:
            pass
        finally:
            connection.close()

    def _serve(self, connection: socket.socket) -> None:
        raise NotImplementedError

    def _send_frames(self, send: Callable[[int, bytes], None]) -> None:
        """Sends JPEG files at the server's pace until it stalls, is killed or has sent them all."""
        start = time.monotonic()
        number = 0
        while self.frames is None or number < self.frames:
            while self.silent.is_set():
                time.sleep(0.02)
                if self._closed:
                    return
            jpeg = cv2.imencode(".jpg", self.picture(number), [cv2.IMWRITE_JPEG_QUALITY, 90])[1].tobytes()
            self.clock[number] = time.monotonic()
            send(number, jpeg)
            self.sent += 1
            number += 1
            time.sleep(max(0.0, start + number / self.fps - time.monotonic()))


class RtspServer(StreamServer):
    """Answers OPTIONS, DESCRIBE, SETUP (TCP alone), PLAY and TEARDOWN; asks for a password where it was given one."""

    def __init__(
        self,
        picture: Picture,
        fps: float = 25.0,
        port: int = 0,
        frames: int | None = None,
        password: str | None = None,
    ) -> None:
        self._password = password
        super().__init__(picture, fps, port, frames)

    def url(self, user: str = "") -> str:
        return f"rtsp://{user}127.0.0.1:{self.port}/camera"

    def _serve(self, connection: socket.socket) -> None:
        reader = connection.makefile("rb")
        while True:
            request = _read_head(reader)
            if request is None:
                return
            method, fields = request
            if self.silent.is_set():
                while not self._closed:
                    time.sleep(0.02)
                return
            allowed = base64.b64encode((self._password or "").encode()).decode()
            if self._password is not None and fields.get("authorization") != f"Basic {allowed}":
                _answer(connection, fields, 'WWW-Authenticate: Basic realm="camera"\r\n', status="401 Unauthorized")
            elif method == "OPTIONS":
                _answer(connection, fields, "Public: DESCRIBE, SETUP, PLAY, TEARDOWN\r\n")
            elif method == "DESCRIBE":
                _answer(connection, fields, "Content-Type: application/sdp\r\n", SESSION)
            elif method == "SETUP" and "TCP" not in fields.get("transport", ""):
                _answer(connection, fields, status="461 Unsupported Transport")
            elif method == "SETUP":
                _answer(connection, fields, "Transport: RTP/AVP/TCP;unicast;interleaved=0-1\r\nSession: 7\r\n")
            elif method == "PLAY":
                _answer(connection, fields, "Session: 7\r\n")
                self._send_frames(_RtpJpeg(connection, self.fps).send)
                return
            else:
                _answer(connection, fields, "Session: 7\r\n")


class MjpegServer(StreamServer):
    """Answers every GET with pictures that replace each other, until it is killed."""

    def url(self, user: str = "") -> str:
        return f"http://{user}127.0.0.1:{self.port}/camera.mjpg"

    def _serve(self, connection: socket.socket) -> None:
        if _read_head(connection.makefile("rb")) is None:
            return
        head = "HTTP/1.0 200 OK\r\nContent-Type: multipart/x-mixed-replace; boundary=frame\r\n\r\n"
        connection.sendall(head.encode())

        def send(number: int, jpeg: bytes) -> None:
            head = f"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: {len(jpeg)}\r\n\r\n"
            connection.sendall(head.encode() + jpeg + b"\r\n")

        self._send_frames(send)


class FileServer(StreamServer):
    """Answers every GET with the bytes of one file, from where a range asks, as a web server does."""

    def __init__(self, content: bytes, name: str) -> None:
        self._content, self._name = content, name
        super().__init__(lambda number: np.zeros((8, 8, 3), np.uint8))

    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/{self._name}"

    def _serve(self, connection: socket.socket) -> None:
        request = _read_head(connection.makefile("rb"))
        if request is None:
            return
        size = len(self._content)
        asked = request[1].get("range", "bytes=0-").partition("=")[2].partition("-")
        start, end = int(asked[0]), int(asked[2] or size - 1)
        part = self._content[start : end + 1]
        status = "206 Partial Content" if "range" in request[1] else "200 OK"
        head = f"HTTP/1.1 {status}\r\nContent-Length: {len(part)}\r\nAccept-Ranges: bytes\r\nConnection: close\r\n"
        connection.sendall(f"{head}Content-Range: bytes {start}-{end}/{size}\r\n\r\n".encode() + part)


class _RtpJpeg:
    """Cuts JPEG files into RTP packets as RFC 2435 says: the tables go once a frame, the headers are left out."""

    def __init__(self, connection: socket.socket, fps: float) -> None:
        self._connection, self._fps, self._sequence = connection, fps, 0

    def send(self, number: int, jpeg: bytes) -> None:
        tables, height, width, scan = _parse_jpeg(jpeg)
        offset = 0
        packets = b""
        while offset < len(scan):
            part = scan[offset : offset + PACKET_BYTES]
            last = offset + len(part) == len(scan)
            # Type 1 is 4:2:0; quality 255 says that the tables come with the frame.
            head = struct.pack(">B3sBBBB", 0, offset.to_bytes(3, "big"), 1, 255, width // 8, height // 8)
            if offset == 0:
                head += struct.pack(">BBH", 0, 0, len(tables)) + tables
            stamp = round(number * CLOCK_HZ / self._fps) & 0xFFFFFFFF
            rtp = struct.pack(">BBHII", 0x80, 26 | last << 7, self._sequence & 0xFFFF, stamp, 1)
            packet = rtp + head + part
            packets += struct.pack(">cBH", b"$", 0, len(packet)) + packet
            self._sequence += 1
            offset += len(part)
        self._connection.sendall(packets)


def _parse_jpeg(jpeg: bytes) -> tuple[bytes, int, int, bytes]:
    """Returns quantisation tables, height, width and the compressed picture of a baseline JPEG file."""
    at, tables, height, width = 2, b"", 0, 0
    while True:
        marker, length = jpeg[at + 1], int.from_bytes(jpeg[at + 2 : at + 4], "big")
        part = jpeg[at + 4 : at + 2 + length]
        at += 2 + length
        if marker == 0xDB:
            tables += b"".join(part[start + 1 : start + 65] for start in range(0, len(part), 65))
        elif marker == 0xC0:
            height, width = struct.unpack(">HH", part[1:5])
        elif marker == 0xDA:
            return tables, height, width, jpeg[at:-2]


def _read_head(reader: object) -> tuple[str, dict[str, str]] | None:
    """Returns method and fields of a request, names in lower case; None at the end of the connection."""
    line = reader.readline()  # type: ignore[attr-defined]
    while line.startswith(b"$"):
        # Reports of the receiver come between its requests.
        reader.read(int.from_bytes(line[2:4], "big") + 4 - len(line))  # type: ignore[attr-defined]
        line = reader.readline()  # type: ignore[attr-defined]
    if not line.strip():
        return None
    fields: dict[str, str] = {}
    while field := reader.readline().decode().strip():  # type: ignore[attr-defined]
        name, _, value = field.partition(":")
        fields[name.lower()] = value.strip()
    return line.split()[0].decode(), fields


def _answer(
    connection: socket.socket, fields: dict[str, str], more: str = "", body: str = "", status: str = "200 OK"
) -> None:
    head = f"RTSP/1.0 {status}\r\nCSeq: {fields.get('cseq', '0')}\r\n{more}"
    head += f"Content-Length: {len(body)}\r\n\r\n" if body else "\r\n"
    connection.sendall((head + body).encode())


class HostileServer(StreamServer):
    """Answers every GET in a way that is meant to hold the reader up, fill its memory or lead it elsewhere."""

    def __init__(self, how: str, target: str = "") -> None:
        """Begins to listen.

        Args:
            how: "slow head" (a byte now and then), "endless head", "endless part" (of a multipart stream), "slow body"
                or "redirect".
            target: Where a redirect leads.
        """
        self.how, self.target = how, target
        super().__init__(lambda number: np.zeros((8, 8, 3), np.uint8))

    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/camera.mjpg"

    def _serve(self, connection: socket.socket) -> None:
        if _read_head(connection.makefile("rb")) is None:
            return
        if self.how == "redirect":
            connection.sendall(f"HTTP/1.1 302 Found\r\nLocation: {self.target}\r\nContent-Length: 0\r\n\r\n".encode())
            return
        multipart = b"HTTP/1.0 200 OK\r\nContent-Type: multipart/x-mixed-replace; boundary=frame\r\n\r\n"
        start = {"endless part": multipart + b"--frame\r\n", "slow body": multipart + b"--frame\r\n"}
        connection.sendall(start.get(self.how, b"HTTP/1.0 200 OK\r\n"))
        while not self._closed:
            if self.how.startswith("slow"):
                connection.sendall(b"X")
                time.sleep(0.5)
            else:
                connection.sendall(b"X-Filler: " + b"a" * 4000 + b"\r\n")
            self.sent += 1
