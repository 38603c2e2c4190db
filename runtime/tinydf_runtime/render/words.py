"""Verdict -> what it is called, what it means and what it does not mean, for people who did not make the tool."""

from __future__ import annotations

from dataclasses import dataclass

from tinydf_runtime.results import InputReport, InputVerdict


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
        "behind, and enough of them to pass the threshold. It is worth having a person look at the marked moments.",
        "It is not proof of a deepfake. Strong compression, filters, make-up or poor light can leave similar traces, "
        "and some real faces pass the threshold. It does not say who changed what, with which tool or why.",
    ),
    "real": VerdictWords(
        "Looks real",
        "{people} well below the threshold, as most real faces do.",
        "In the faces that were looked at, the network found too little of the traces that it knows from forged ones.",
        "It does not certify that the recording is genuine. Forgeries of a kind that the network does not know, faces "
        "too small to judge, voices, and everything outside the faces go unnoticed.",
    ),
    "inconclusive": VerdictWords(
        "Inconclusive",
        "The evidence does not suffice for either answer.",
        "There is too little to judge, or what there is contradicts itself. The reasons are named here; a longer, "
        "larger or less compressed copy may settle it.",
        "It does not mean half forged or probably forged, and a number just below the threshold is not a weak verdict: "
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
