"""A web service that judges uploaded videos and pictures.

pip install 'fastapi[standard]' && fastapi run examples/serve.py
curl --data-binary @clip.mp4 -H 'Content-Type: video/mp4' http://127.0.0.1:8000/judge
"""

import asyncio
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

from fastapi import FastAPI, HTTPException, Request

from tinydf_runtime import Analyzer, Limits

MAXIMUM_BYTES = 200 << 20
UPLOAD_S = 120.0
AT_ONCE = 2
LIMITS = Limits(max_seconds=60)

app = FastAPI(title="TinyDF")
analyzer = Analyzer(threads=1)
free = asyncio.Semaphore(AT_ONCE)


@app.post("/judge")
async def judge(request: Request) -> dict[str, Any]:
    """Returns the report on the video or picture in the request's body."""
    if not request.headers.get("content-type", "").startswith(("video/", "image/")):
        raise HTTPException(415, "Send a video or picture as the body, with its Content-Type.")
    if free.locked():
        raise HTTPException(503, "All places are taken. Try again soon.", headers={"Retry-After": "10"})
    async with free:
        with tempfile.TemporaryDirectory() as folder:
            upload = Path(folder) / "upload"
            try:
                await asyncio.wait_for(save(request, upload), UPLOAD_S)
            except asyncio.TimeoutError:
                raise HTTPException(408, "The upload took too long.") from None
            # The event loop goes on serving while a thread does the work.
            item = await asyncio.to_thread(analyzer.analyze_input, upload, limits=LIMITS)
    if item.status == "unreadable":
        raise HTTPException(422, "No video or picture that can be decoded.")
    return analyzer.report([replace(item, path="upload")]).to_dict()


async def save(request: Request, upload: Path) -> None:
    """Writes the body to a file as it comes and refuses it as soon as it is too large or is no media."""
    start, written = b"", 0
    with upload.open("wb") as file:
        async for part in request.stream():
            start += part[: 12 - len(start)]
            written += len(part)
            if len(start) == 12 and not is_media(start):
                break
            if written > MAXIMUM_BYTES:
                raise HTTPException(413, f"More than {MAXIMUM_BYTES >> 20} MB.")
            file.write(part)
    if not is_media(start):
        raise HTTPException(415, "Neither MP4, MOV, Matroska, WebM, AVI, JPEG, PNG nor WebP.")


def is_media(start: bytes) -> bool:
    """Tells media from playlists, with which a decoder could be made to open other files and addresses."""
    riff = start.startswith(b"RIFF") and start[8:12] in (b"AVI ", b"WEBP")
    return riff or start[4:8] == b"ftyp" or start.startswith((b"\x1a\x45\xdf\xa3", b"\xff\xd8\xff", b"\x89PNG"))
