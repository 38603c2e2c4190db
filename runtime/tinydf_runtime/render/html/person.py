"""Tracks of an input -> the table of its people and a card for each of them, with faces and forgery maps, as HTML."""

from __future__ import annotations

import base64
from collections import Counter
from collections.abc import Sequence
from html import escape
from statistics import median

import cv2
import numpy as np

from tinydf_runtime.faces.exemplars import JPEG_QUALITY
from tinydf_runtime.render.draw import CLEAR_HEAT, Zones, draw_heat
from tinydf_runtime.render.html.timeline import timeline_of
from tinydf_runtime.render.words import clock, rarity_words, reason_words
from tinydf_runtime.results import FacePicture, InputReport, Label, TrackReport
from tinydf_runtime.types import Image, longer_side

MOST_CARDS = 12
"""Cards of one input at most, the most suspicious people first; each takes some 100 kB."""
MOST_ROWS = 100
POOR = 0.5
"""Quality component (ISO/IEC 29794-5) below which a face is described as deficient."""
QUALITY_WORDS = {
    "sharpness": "blurred",
    "under_exposure_prevention": "too dark",
    "over_exposure_prevention": "too bright",
    "head_pose_yaw": "turned aside",
    "head_pose_pitch": "bent up or down",
    "head_pose_roll": "tilted",
    "inter_eye_distance": "small",
}
"""Component of ``FaceQuality`` -> adjective for a face that has little of it."""


def people_of(item: InputReport, zones: Zones, anchor: str) -> str:
    """Returns table and cards of the people in an input, the most suspicious first.

    Args:
        item: What was found in it.
        zones: The zones of the scores.
        anchor: Id of the input in the page.
    """
    judged = sorted(
        (track for track in item.tracks if track.fake_probability is not None),
        key=lambda track: (("real", "inconclusive", "fake").index(track.verdict), track.fake_probability or 0.0),
        reverse=True,
    )
    parts = []
    if judged:
        parts.append(f"<h3>{'Person' if len(judged) == 1 else f'{len(judged)} people'}</h3>")
    if len(judged) > 1:
        parts.append(_table(judged, item, anchor))
    parts += [_card(track, item, zones, f"{anchor}-person-{track.id}") for track in judged[:MOST_CARDS]]
    if len(judged) > MOST_CARDS:
        parts.append(f'<p class="note">{len(judged) - MOST_CARDS} more people are in the JSON report alone.</p>')
    left_out = Counter(track.reasons for track in item.tracks if track.fake_probability is None)
    for reasons, count in left_out.items():
        who = "1 more face was" if count == 1 else f"{count} more faces were"
        parts.append(f'<p class="note">{who} not judged: {escape(reason_words(reasons))}.</p>')
    return "".join(parts)


def interval_words(interval: tuple[float, float] | None) -> str:
    """Returns the interval of a probability in words, or nothing."""
    return "" if interval is None else f" (90% interval {interval[0]:.1%} to {interval[1]:.1%})"


def rarity_of(found: TrackReport | InputReport) -> str:
    """Returns how rare a person's or an input's score is among real people, as a sentence, or nothing."""
    words = "" if found.rarity is None else rarity_words(found.rarity)
    return f"{words[0].upper()}{words[1:]}." if words else ""


def pill(verdict: str) -> str:
    """Returns a verdict as a small label."""
    return f'<span class="pill {verdict}">{verdict.replace("_", " ")}</span>'


def _table(tracks: Sequence[TrackReport], item: InputReport, anchor: str) -> str:
    """Returns one row a person."""
    timed = item.kind != "image"
    rows = []
    for place, track in enumerate(tracks[:MOST_ROWS]):
        name = f"Person {track.id}"
        if place < MOST_CARDS:
            name = f'<a href="#{anchor}-person-{track.id}">{name}</a>'
        seen = ""
        if timed:
            seen = f'<td class="wide">{clock(track.first_s)} to {clock(track.last_s)}</td>'
            seen += f'<td class="n wide">{track.faces_used}</td>'
        rows.append(
            f'<tr><th scope="row" class="who">{name}</th>{seen}'
            f'<td class="n">{track.fake_probability:.1%}</td><td>{pill(track.verdict)}</td></tr>'
        )
    seen = '<th scope="col" class="wide">Seen</th><th scope="col" class="n wide">Frames used</th>' if timed else ""
    head = (
        f'<th scope="col">Who</th>{seen}'
        '<th scope="col" class="n">Fake<span class="wide"> probability</span></th><th scope="col">Verdict</th>'
    )
    return f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table>"


def _card(track: TrackReport, item: InputReport, zones: Zones, anchor: str) -> str:
    """Returns one person's verdict, timeline, faces and quality."""
    timed = item.kind != "image"
    name = f"Person {track.id}"
    frames = "1 frame" if track.faces_used == 1 else f"{track.faces_used} frames"
    seen = f"Seen from {clock(track.first_s)} to {clock(track.last_s)}, judged from {frames}." if timed else ""
    found = [
        f"looks forged from {clock(s.start_s)} to {clock(s.end_s)}, {s.fake_probability:.1%} fake there"
        for s in item.segments
        if s.track == track.id and timed
    ]
    found += [escape(reason_words((reason,))) for reason in track.reasons]
    pictures = [picture for picture in item.pictures if picture.track == track.id]
    curve = f'<p class="plot-title">Fake probability over time</p>{timeline_of(track, item, zones, anchor)}'
    return (
        f'<article class="person" id="{anchor}" aria-labelledby="{anchor}-name"><header>'
        f'<h4 id="{anchor}-name">{name}</h4>{pill(track.verdict)}'
        f"<span><b>{track.fake_probability:.1%}</b> fake probability{interval_words(track.interval)}</span></header>"
        f'<p class="seen">{" ".join(filter(None, (rarity_of(track), seen)))}</p>'
        + (f'<ul class="found">{"".join(f"<li>{words}</li>" for words in found)}</ul>' if found else "")
        + (curve if timed else "")
        + faces_of(pictures, name, track.verdict, zones, timed)
        + f'<p class="quality">{_quality(track)}</p></article>'
    )


def _quality(track: TrackReport) -> str:
    """Returns how well a person's face is seen, in words and figures."""
    known = [score.quality for score in track.scores if score.quality is not None]
    side_px = median(longer_side(score.box_xyxy) for score in track.scores)
    size = f"{'Mostly' if len(track.scores) > 1 else 'It is'} {side_px:.0f} px high or wide"
    if not known:
        return f"{size}."
    typical = {name: median(getattr(one, name) for one in known) for name in QUALITY_WORDS}
    poor = [words for name, words in QUALITY_WORDS.items() if typical[name] < POOR]
    verdict = f"The face is {' and '.join(poor)}, which makes it weaker evidence" if poor else "The face is well seen"
    weakest = min(typical, key=lambda name: typical[name])
    return f"{verdict}. {size}. Weakest measure of quality: {weakest.replace('_', ' ')}, {typical[weakest]:.2f} of 1."


def faces_of(pictures: Sequence[FacePicture], person: str, verdict: Label, zones: Zones, timed: bool) -> str:
    """Returns figures of a person's faces, beside their forgery maps where these say something.

    Args:
        pictures: Those of the person, the most suspicious first.
        person: How the person is called in the page.
        verdict: Of the person. Nothing is marked on a person judged real.
        zones: The zones of the scores.
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
        f'<figure class="face{" mapped" if mapped else ""}"><div class="pair">'
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
