"""Pictures of a verdict as HTML: a face beside its forgery map, and the whole frame in which it looked worst."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from html import escape

import cv2
import numpy as np

from tinydf_runtime.render.clock import clock
from tinydf_runtime.render.draw import CLEAR_HEAT, draw_heat
from tinydf_runtime.render.zones import Zones
from tinydf_runtime.results import InputReport
from tinydf_runtime.types import FacePicture, Image, Label
from tinydf_runtime.verdict.exemplars import JPEG_QUALITY


def frame_of(item: InputReport) -> str:
    """Returns the whole picture with the face that decided, or nothing where none was kept."""
    frame = item.whole_frame
    if frame is None:
        return ""
    left, top, right, bottom = frame.record.box_xyxy
    left, right = (min(max(x / frame.width, 0.0), 1.0) for x in (left, right))
    top, bottom = (min(max(y / frame.height, 0.0), 1.0) for y in (top, bottom))
    verdict = next((track.verdict for track in item.tracks if track.id == frame.track), item.verdict)
    who = f"Person {frame.track}"
    when = "" if item.kind == "image" else f" at {clock(frame.record.time_s)}, where the score is highest"
    place = f"left:{left:.2%};top:{top:.2%};width:{right - left:.2%};height:{bottom - top:.2%}"
    data = base64.b64encode(frame.jpeg).decode()
    words = f"The whole picture, with a box round the face of person {frame.track}"
    return (
        f'<figure class="whole"><div class="frame"><img src="data:image/jpeg;base64,{data}" alt="{words}">'
        f'<span class="box {verdict}" style="{place}"></span></div><figcaption>{who}{when}</figcaption></figure>'
    )


def faces_of(pictures: Sequence[FacePicture], person: str, verdict: Label, zones: Zones, timed: bool) -> str:
    """Returns figures of a person's faces, beside their forgery maps where these say something.

    Args:
        pictures: Those of the person, the most suspicious first.
        person: How the person is called in the page.
        verdict: Of the person. Who is judged real has nothing to be marked.
        zones: Where a score counts as what.
        timed: Say when each face was seen; a picture has no time.
    """
    words = ["As it was scored"] if len(pictures) == 1 else [_words(p, place) for place, p in enumerate(pictures)]
    figures = [
        _figure(picture, what, person, zones, timed, mapped=verdict != "real" and _says_something(picture, zones))
        for picture, what in zip(pictures, words, strict=True)
    ]
    return f'<div class="faces">{"".join(figures)}</div>' if figures else ""


def _words(picture: FacePicture, place: int) -> str:
    """Returns why a picture is shown."""
    if place > 0:
        return "Best seen" if picture.best else "Suspicious"
    return "Most suspicious, best seen" if picture.best else "Most suspicious"


def _figure(picture: FacePicture, what: str, person: str, zones: Zones, timed: bool, mapped: bool) -> str:
    """Returns one face, twice where it has a map to show, with a line below."""
    record = picture.record
    kind = zones.side(record.fake_probability)
    image = np.asarray(cv2.imdecode(np.frombuffer(picture.jpeg, np.uint8), cv2.IMREAD_COLOR), np.uint8)
    size = f'width="{image.shape[1]}" height="{image.shape[0]}"'
    when = f", {clock(record.time_s)}" if timed else ""
    plain_words = f"{person} at {clock(record.time_s)}" if timed else person
    under = ""
    if mapped:
        under = _image(_under_heat(image, picture), size, f"The same face under its forgery map: {_where(picture)}")
    return (
        f'<figure class="face"><div class="{"pair" if mapped else "pair one"}">'
        f"{_image(picture.jpeg, size, plain_words)}{under}</div>"
        f'<figcaption><span>{what}{when}</span> <b class="{kind}">{record.fake_probability:.1%} fake</b>'
        "</figcaption></figure>"
    )


def _says_something(picture: FacePicture, zones: Zones) -> bool:
    """Returns whether a forgery map has anything on it that would be drawn, on a face that does not look real."""
    looks_real = zones.side(picture.record.fake_probability) == "real"
    return not looks_real and float(picture.forgery_map.max()) >= CLEAR_HEAT * 255


def _under_heat(image: Image, picture: FacePicture) -> bytes:
    """Returns a BGR crop with its forgery map over it, as a JPEG file; changes the crop."""
    heat = picture.forgery_map.astype(np.float32) / np.float32(255)
    draw_heat(image, (0, 0, image.shape[1], image.shape[0]), heat)
    _, data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY, cv2.IMWRITE_JPEG_OPTIMIZE, 1])
    return data.tobytes()


def _image(jpeg: bytes, size: str, words: str) -> str:
    """Returns a picture as an img element that needs no file."""
    return f'<img src="data:image/jpeg;base64,{base64.b64encode(jpeg).decode()}" {size} alt="{escape(words)}">'


def _where(picture: FacePicture) -> str:
    """Returns in words where a forgery map is strongest."""
    heat = picture.forgery_map
    row, column = np.unravel_index(int(heat.argmax()), heat.shape)
    rows, columns = ("upper", "middle", "lower"), ("left", "centre", "right")
    place = f"{rows[int(row) * 3 // heat.shape[0]]} {columns[int(column) * 3 // heat.shape[1]]}"
    return f"strongest in the {place}."
