"""Verdict -> what it is called, what it means and what it does not mean, for people who did not make the tool."""

from __future__ import annotations

from dataclasses import dataclass

from tinydf_runtime.findings import InputVerdict


@dataclass(frozen=True, slots=True)
class VerdictWords:
    """A verdict in plain words.

    Attributes:
        title: The verdict.
        summary: One sentence below it.
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
        "At least one person scores above the threshold.",
        "The faces of the most suspicious person carry traces like those that blending or re-rendering a face leaves "
        "behind, and enough of them to pass the threshold. It is worth having a person look at the marked moments.",
        "It is not proof of a deepfake. Strong compression, filters, make-up or poor light can leave similar traces, "
        "and some real faces pass the threshold. It does not say who changed what, with which tool or why.",
    ),
    "real": VerdictWords(
        "Looks real",
        "No person scores above the threshold.",
        "In the faces that were looked at, the network found too little of the traces that it knows from forged ones.",
        "It does not certify that the recording is genuine. Forgeries of a kind that the network does not know, faces "
        "too small to judge, voices, and everything outside the faces go unnoticed.",
    ),
    "inconclusive": VerdictWords(
        "Inconclusive",
        "The evidence does not suffice for either answer.",
        "There is too little to judge, or what there is contradicts itself. The reasons are named here; a longer, "
        "larger or less compressed copy may settle it.",
        "It does not mean half forged or probably forged, and a number close to the threshold is not a weak verdict: "
        "it is none.",
    ),
    "no_face": VerdictWords(
        "No face found",
        "There was no face to judge in what was looked at.",
        "The detector found no face in the sampled frames, so nothing was scored.",
        "It does not mean that nobody is in it, nor that it is genuine: turned, covered or tiny faces are missed.",
    ),
    "error": VerdictWords(
        "Not judged",
        "The input could not be read.",
        "Nothing was seen of it. The message tells what is wrong and what to do.",
        "It says nothing about the content.",
    ),
}
