"""The picture in which the deciding person looked most suspicious -> a figure with a box round the face, as HTML."""

from __future__ import annotations

import base64

from tinydf_runtime.render.clock import clock
from tinydf_runtime.results import InputReport


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
