"""Verdicts, reason codes, shares, times and names -> text that people read, on the terminal and on the page."""

from __future__ import annotations

import math
import unicodedata
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # results need NumPy, and a progress bar needs only the words
    from tinydf_runtime.results import DetectorInfo, InputReport, InputVerdict, ModelInfo, Rarity
    from tinydf_runtime.types import Reason


@dataclass(frozen=True, slots=True)
class VerdictWords:
    """A verdict in plain words.

    Attributes:
        title: The verdict.
        summary: One sentence below it; ``summary_of`` fills in who.
        means: What may be concluded.
        means_not: What may not.
    """

    title: str
    summary: str
    means: str
    means_not: str


VERDICT_WORDS: dict[InputVerdict, VerdictWords] = {
    "fake": VerdictWords(
        "Looks forged",
        "{fake} above the threshold.",
        "The faces of the most suspicious person carry traces like those that blending or re-rendering a face leaves "
        "behind, and enough of them to pass the threshold. It is worth having a person look at the marked segments.",
        "It is not proof of a deepfake. Strong compression, filters, make-up or poor light can leave similar traces, "
        "and some real faces pass the threshold. It does not say who changed what, with which tool or why.",
    ),
    "real": VerdictWords(
        "Looks real",
        "{people} well below the threshold, as most real faces do.",
        "In the faces that it analysed, the network found few of the traces that it learned from forged ones.",
        "It does not certify that the recording is genuine. Kinds of forgery that the network never learned, faces "
        "too small to judge, voices, and everything outside the faces go unnoticed.",
    ),
    "inconclusive": VerdictWords(
        "Inconclusive",
        "The evidence is not sufficient for either answer.",
        "There is too little evidence, or it contradicts itself. The reasons are named here; a longer, "
        "larger or less compressed copy may settle it.",
        "It does not mean half forged or probably forged, and a score just below the threshold is not a weak verdict: "
        "it is no verdict.",
    ),
    "no_face": VerdictWords(
        "No face found",
        "There was no face to judge in what was analysed.",
        "The detector found no face in the sampled frames, so nothing was scored.",
        "It does not mean that nobody appears in it, or that it is genuine: turned, covered or tiny faces are missed.",
    ),
    "error": VerdictWords(
        "Not judged",
        "The input could not be read.",
        "Nothing was seen of it. The message says what is wrong and what to do.",
        "It says nothing about the content.",
    ),
}


def summary_of(item: InputReport) -> str:
    """Returns the sentence below an input's verdict, with the people that it speaks of counted."""
    judged = [track for track in item.tracks if track.fake_probability is not None]
    fake = sum(track.verdict == "fake" for track in judged)
    if len(judged) == 1:
        words = {"fake": "The person scores", "people": "The person scores"}
    else:
        everybody = "Both people" if len(judged) == 2 else f"All {len(judged)} people"
        who = f"{fake} of {len(judged)} people score" + ("s" if fake == 1 else "")
        words = {"fake": who, "people": f"{everybody} score"}
    return VERDICT_WORDS[item.verdict].summary.format(**words)


REASON_WORDS: dict[Reason, str] = {
    "forged_segment": "one segment looks forged, the rest less so",
    "too_few_faces": "the face was seen in too few frames to judge",
    "faces_too_small": "the faces are too small for a verdict",
    "uncertain_face": "it may not be a face at all",
    "side_person": "the face is too small or seen too briefly beside the others",
    "near_threshold": "the score lies between the thresholds for real and fake",
    "frames_disagree": "the frames disagree",
    "many_people": "among so many people, one real face may score this high",
    "unstable_under_compression": "re-encoding the faces would flip the verdict",
    "no_face_found": "no face was found",
    "mostly_unseen": "less than half of it was read, and the rest may differ",
    "interrupted": "stopped before its end",
    "unreadable": "it could not be read",
    "no_resources": "this machine ran out of memory, processes or open files; the input itself may be fine",
    "decoding_failed": "decoding failed before its end, and the rest may differ",
    "damaged_part": "part of it is damaged and could not be analysed",
    "file_changed": "the file changed while it was read, and its present content was not analysed",
    "more_tracks": "it holds more pictures or video tracks than were analysed",
    "size_changes": "its pictures change size midway, and the rest was not analysed",
    "few_colours": "so few colours are left that dithering and banding can hide traces of a forgery, or imitate them",
    "over_exposed": "the face is too bright to show detail",
    "under_exposed": "the face is too dark to show detail",
    "smoothed": "the face has no fine detail: painted, smoothed or enlarged",
    "screen_pattern": "a pattern lies over the face, as in a photo of a screen or of print",
}
"""Reason code -> words for people."""

MOST = 0.5
"""Share of real people from which a percentage says more than "1 in so many"."""

EVIDENCE_NOTE = "A verdict is statistical evidence, not proof."


def reason_words(reasons: tuple[Reason, ...]) -> str:
    """Returns reasons as one phrase."""
    return "; ".join(REASON_WORDS[reason] for reason in reasons)


def stranger_words(network: ModelInfo | DetectorInfo) -> str:
    """Returns a phrase that names a network that does not come with TinyDF; empty for one that does."""
    if network.known:
        return ""
    from tinydf_runtime.results import ModelInfo

    what = "classifier" if isinstance(network, ModelInfo) else "face detector"
    return f"{what} {network.name}: not one that comes with TinyDF, SHA-256 {network.sha256 or 'not a file'}"


def rarity_words(rarity: Rarity) -> str:
    """Returns how rare a score is among real people, with its interval, as one phrase."""
    if rarity.share >= MOST:
        return f"most real people score this high ({rarity.low:.0%} to {rarity.high:.0%})"
    if rarity.share == 0:
        return f"none of {rarity.people} real people scored this high (fewer than {_one_in(rarity.high)})"
    ends = f"{_one_in(rarity.high)} to {_one_in(rarity.low)}"
    return f"about {_one_in(rarity.share)} real people scores this high ({ends})"


def _one_in(share: float) -> str:
    """Returns a share as "1 in 70", to two digits."""
    count = 1 / share
    digits = max(0, math.floor(math.log10(count)) - 1)
    return f"1 in {round(count, -digits):.0f}" if count >= 10 else f"1 in {count:.1f}".removesuffix(".0")


def clock(time_s: float) -> str:
    """Returns a time as minutes and seconds, hours only where there are some, tenths only where they are not 0."""
    tenths = round(max(0.0, time_s) * 10)
    hours, minutes, seconds = tenths // 36000, tenths // 600 % 60, tenths // 10 % 60
    tail = f".{tenths % 10}" if tenths % 10 else ""
    return f"{hours}:{minutes:02d}:{seconds:02d}{tail}" if hours else f"{minutes}:{seconds:02d}{tail}"


_FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""Characters that start a formula in a spreadsheet (OWASP, CSV injection)."""


def printable(text: str) -> str:
    """Returns a text with control characters, escape sequences and bidirectional overrides written as codes."""
    return "".join(_written_out(letter) if _acts(letter) else letter for letter in text)


def as_cell(text: str) -> str:
    """Returns a text as a cell of a table, with an apostrophe before what would be a formula."""
    return f"'{text}" if text.startswith(_FORMULA) else text


def _acts(letter: str) -> bool:
    """Returns whether a character is a control, a line separator, a lone surrogate or a bidirectional override."""
    kind = unicodedata.category(letter)
    # Emoji are joined by a format letter that does no harm.
    return kind in ("Cc", "Cs", "Zl", "Zp") or (kind == "Cf" and unicodedata.bidirectional(letter) not in ("BN", "L"))


def _written_out(letter: str) -> str:
    number = ord(letter)
    if 0xDC80 <= number <= 0xDCFF:
        # A byte of a name that is not UTF-8, as Python carries it.
        return f"\\x{number - 0xDC00:02x}"
    return f"\\x{number:02x}" if number < 0x100 else f"\\u{number:04x}"
