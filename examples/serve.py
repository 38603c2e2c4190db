"""A web service that judges uploaded videos and pictures, behind bounds on their size, pixels, time and number.

pip install '.[serve]' && uvicorn --app-dir examples serve:app
curl -F file=@clip.mp4 http://127.0.0.1:8000/judge
curl --data-binary @clip.mp4 -H 'Content-Type: video/mp4' http://127.0.0.1:8000/judge
"""

import asyncio
import json
import shutil
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from fastapi import FastAPI, HTTPException, Request, Response, UploadFile
from fastapi.exception_handlers import http_exception_handler
from fastapi.openapi.utils import get_openapi
from starlette.exceptions import HTTPException as StarletteHTTPException

from tinydf_runtime import Analyzer, InputReport, Limits, UnavailableError
from tinydf_runtime.render.report import SCHEMA_FILE

MAXIMUM_BYTES = 200 << 20
UPLOAD_S = 120.0
MOST_INSIDE = 256
HELD_BYTES = 2 << 30
WAIT_S = 300.0
AT_ONCE = 2
LIMITS = Limits(max_seconds=60, max_pixels=50_000_000)
REPORT = {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/report"}}}}
BODY = {"requestBody": {"content": {kind: {"schema": {"type": "string"}} for kind in ("video/*", "image/*")}}}

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

app = FastAPI(title="TinyDF")
analyzer = Analyzer(threads=1)
free = asyncio.Semaphore(AT_ONCE)


def busy(retry_s: int) -> HTTPException:
    """Returns the answer of a server that has too much to do: it says nothing about the file."""
    return HTTPException(503, "All places are taken. Try again soon.", headers={"Retry-After": str(retry_s)})


class Gate:
    """Lets requests in, as many as there is room for, and ends an upload as soon as it is too large or too slow."""

    inside = held = 0

    def __init__(self, inner: Callable[[Message, Receive, Send], Awaitable[None]]) -> None:
        self.inner = inner

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Serves one request; its bytes count as held until it is answered."""
        taken, began_s = 0, time.monotonic()

        async def bounded() -> Message:
            nonlocal taken
            if Gate.inside > MOST_INSIDE or Gate.held > HELD_BYTES:
                raise busy(10)
            try:
                message = await asyncio.wait_for(receive(), UPLOAD_S - (time.monotonic() - began_s))
            except asyncio.TimeoutError:
                raise HTTPException(408, "The upload took too long.") from None
            taken += len(message.get("body", b""))
            Gate.held += len(message.get("body", b""))
            if taken > MAXIMUM_BYTES:
                raise HTTPException(413, f"More than {MAXIMUM_BYTES >> 20} MB.")
            return message

        Gate.inside += 1
        try:
            await self.inner(scope, bounded if scope["type"] == "http" else receive, send)
        finally:
            Gate.inside -= 1
            Gate.held -= taken


app.add_middleware(Gate)


@app.exception_handler(StarletteHTTPException)
async def answer(request: Request, error: StarletteHTTPException) -> Response:
    """Returns an error's answer. Of a form that found no room on the disk the framework says that it is a bad one."""
    return await http_exception_handler(request, busy(10) if isinstance(error.__cause__, OSError) else error)


@app.post("/judge", response_model=None, responses={200: REPORT}, openapi_extra=BODY)
async def judge(request: Request, file: UploadFile | None = None) -> dict[str, Any]:
    """Returns the report on one video or picture: the form's file, or the request's body as it is."""
    try:
        item = await judged(request, file)
    except (OSError, MemoryError, UnavailableError):
        # What is wrong with a file is in its report: this is a full disk, or no memory, process or open file left.
        raise busy(10) from None
    # Not one picture in the time given, or no decoder for it: on a machine with more time it may be a good one.
    if "no_resources" in item.reasons or (item.status == "timeout" and item.verdict == "error"):
        raise busy(10)
    if item.status == "unreadable":
        raise HTTPException(422, "No video or picture that can be decoded, or too large a one.")
    return analyzer.report([item]).to_dict()


async def judged(request: Request, file: UploadFile | None) -> InputReport:
    """Returns what is found in an upload, which lies on disk meanwhile."""
    is_media_type = request.headers.get("content-type", "").startswith(("video/", "image/"))
    if file is None and not is_media_type:
        raise HTTPException(415, "Send a form with the file, or a video or picture as the body, with its Content-Type.")
    # Its name is ours: what the client calls the file never reaches the disk.
    with tempfile.TemporaryDirectory() as folder:
        upload = Path(folder) / "upload"
        if file is None:
            await save(request, upload)
        else:
            await asyncio.to_thread(copy, file, upload)
        async with place():
            # The event loop goes on serving while a thread does the work.
            item = await asyncio.to_thread(analyzer.analyze_input, upload, limits=LIMITS)
    message = None if item.message is None else item.message.replace(str(upload), "upload")
    return replace(item, path="upload", message=message)


@asynccontextmanager
async def place() -> AsyncIterator[None]:
    """Waits for one of the places to work."""
    try:
        await asyncio.wait_for(free.acquire(), WAIT_S)
    except asyncio.TimeoutError:
        raise busy(60) from None
    try:
        yield
    finally:
        free.release()


async def save(request: Request, upload: Path) -> None:
    """Writes the body to a file as it comes and refuses it as soon as it is no media."""
    start = b""
    with upload.open("wb") as out:
        async for part in request.stream():
            start += part[: 12 - len(start)]
            if len(start) == 12:
                check_media(start)
            out.write(part)
    check_media(start)


def copy(file: UploadFile, upload: Path) -> None:
    """Writes a form's file to one that the decoders can open."""
    check_media(file.file.read(12))
    file.file.seek(0)
    with upload.open("wb") as out:
        shutil.copyfileobj(file.file, out)


def check_media(start: bytes) -> None:
    """Tells media from playlists, with which a decoder could be made to open other files and addresses."""
    riff = start.startswith(b"RIFF") and start[8:12] in (b"AVI ", b"WEBP")
    if not (riff or start[4:8] == b"ftyp" or start.startswith((b"\x1a\x45\xdf\xa3", b"\xff\xd8\xff", b"\x89PNG"))):
        raise HTTPException(415, "Neither MP4, MOV, Matroska, WebM, AVI, JPEG, PNG nor WebP.")


def describe() -> dict[str, Any]:
    """Returns the service's OpenAPI description, with the report's own schema as what it answers."""
    if app.openapi_schema is None:
        # The same definitions, in the place where OpenAPI keeps them.
        report = json.loads(SCHEMA_FILE.read_text(encoding="utf-8").replace("#/$defs/", "#/components/schemas/"))
        parts = report.pop("$defs")
        del report["$id"], report["$schema"]
        found = get_openapi(title=app.title, version=app.version, routes=app.routes)
        found["components"]["schemas"] |= {"report": report, **parts}
        app.openapi_schema = found
    return app.openapi_schema


app.openapi = describe  # type: ignore[method-assign]
