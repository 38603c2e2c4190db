"""A model and a set -> figures by frame and by video."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from tinydf.evaluation.faces import SYNTHETIC, FaceSet
from tinydf.evaluation.perturbations import KINDS, UNCHANGED, Perturbation
from tinydf.evaluation.result import Counts, DataFacts, Evaluation, ModelFacts, Rung, SliceResult, VerdictCounts
from tinydf.evaluation.scores import Failure, ScoredFaces, score_faces
from tinydf.evaluation.scoring import Scorer
from tinydf.evaluation.slices import Slice, cut_slices
from tinydf.evaluation.videos import JudgedVideos, judge_videos
from tinydf.metrics import FEW_CLUSTERS, measure
from tinydf_runtime.errors import UnreadableInputError
from tinydf_runtime.models.spec import ModelSpec
from tinydf_runtime.types import OnProgress


def evaluate(
    scorer: Scorer,
    face_set: FaceSet,
    ladder: Sequence[Perturbation] = (),
    seed: int = 0,
    workers: int = 0,
    report: OnProgress = lambda done, total: None,
) -> Evaluation:
    """Scores a set and measures it, whole, by slices, and under perturbations.

    Args:
        scorer: The network.
        face_set: What to score.
        ladder: Perturbations to measure beside the unchanged pictures.
        seed: Of the resampling.
        workers: Processes that read and crop.
        report: Called with the progress.

    Raises:
        UnreadableInputError: Not one picture could be read.
    """
    scored, failures = score_faces(face_set, scorer, (UNCHANGED, *ladder), workers, report)
    return measure_scored(scored, failures, scorer, scorer.spec, face_set, ladder, seed)


def measure_scored(
    scored: ScoredFaces,
    failures: tuple[Failure, ...],
    scorer: Scorer,
    spec: ModelSpec,
    face_set: FaceSet,
    ladder: Sequence[Perturbation] = (),
    seed: int = 0,
) -> Evaluation:
    """Measures existing scores; see ``evaluate``. The threshold and temperature are those of ``spec``."""
    if not scored.faces:
        raise UnreadableInputError(f"{face_set.folder}: not one picture could be measured. First: {failures[0].reason}")
    judged = judge_videos(scored, spec)
    everything = Slice("whole", "all videos", np.ones(len(scored.videos), bool))
    groups = [_measure_slice(one, scored, judged, spec.threshold, seed) for one in [everything, *cut_slices(scored)]]
    rungs = [
        _rung(perturbation, judge_videos(scored, spec, place).logit, scored, spec.threshold, seed)
        for place, perturbation in enumerate((UNCHANGED, *ladder))
        if ladder
    ]
    data = DataFacts(str(face_set.folder), face_set.table_sha256, face_set.split, face_set.forgery_types)
    return Evaluation(
        model=ModelFacts(
            str(scorer.path),
            spec.name,
            scorer.sha256,
            spec.precision,
            scorer.engine,
            scorer.device,
            spec.threshold,
            spec.temperature,
        ),
        data=data,
        whole=groups[0],
        slices=tuple(groups[1:]),
        robustness=tuple(rungs),
        failures=failures,
        notes=tuple(_notes(data, groups[0], failures, bool(ladder))),
        scored=scored if not ladder else replace(scored, logit=scored.logit[:, :1]),
        judged=judged,
    )


def clusters(scored: ScoredFaces) -> NDArray[np.intp]:
    """Returns V: for each video the number of the cluster that it is resampled with."""
    numbers: dict[str, int] = {}
    return np.array([numbers.setdefault(video.original, len(numbers)) for video in scored.videos], np.intp)


def forged_videos(scored: ScoredFaces) -> NDArray[np.bool_]:
    """Returns V, bool: whether each video is forged."""
    return np.array([video.forged for video in scored.videos], bool)


def _measure_slice(group: Slice, scored: ScoredFaces, judged: JudgedVideos, threshold: float, seed: int) -> SliceResult:
    forged, cluster = forged_videos(scored), clusters(scored)
    chosen_faces = group.chosen[scored.video]
    answered = group.chosen & ~np.isnan(judged.logit)
    face_video = scored.video[chosen_faces]
    silent = group.chosen & np.isnan(judged.logit)
    counts = Counts(
        real_faces=int((~forged[face_video]).sum()),
        fake_faces=int(forged[face_video].sum()),
        real_videos=int((group.chosen & ~forged).sum()),
        fake_videos=int((group.chosen & forged).sum()),
        real_videos_not_judged=int((silent & ~forged).sum()),
        fake_videos_not_judged=int((silent & forged).sum()),
    )
    return SliceResult(
        group.kind,
        group.name,
        counts,
        measure(scored.logit[chosen_faces, 0], forged[face_video], cluster[face_video], threshold, seed),
        measure(judged.logit[answered], forged[answered], cluster[answered], threshold, seed),
        _note(*(len(np.unique(cluster[answered & (forged == side)])) for side in (False, True))),
        real_verdicts=_count(judged, group.chosen & ~forged),
        fake_verdicts=_count(judged, group.chosen & forged),
    )


def _count(judged: JudgedVideos, chosen: NDArray[np.bool_]) -> VerdictCounts:
    """Returns how many of the chosen videos got which verdict."""
    labels = [label for label, wanted in zip(judged.label, chosen, strict=True) if wanted]
    return VerdictCounts(*(labels.count(label) for label in ("fake", "inconclusive", "real")))


def _note(reals: int, fakes: int) -> str:
    """Returns what a group's numbers of independent videos mean for its figures."""
    if not reals or not fakes:
        missing = "no video was judged" if not reals and not fakes else f"no {'real' if fakes else 'fake'} video"
        return f"{missing}: no AUC"
    if min(reals, fakes) < FEW_CLUSTERS:
        return f"few originals ({reals} real, {fakes} fake): wide intervals"
    return ""


def _rung(
    perturbation: Perturbation, judged: NDArray[np.float64], scored: ScoredFaces, threshold: float, seed: int
) -> Rung:
    answered = ~np.isnan(judged)
    found = measure(judged[answered], forged_videos(scored)[answered], clusters(scored)[answered], threshold, seed)
    unit = KINDS[perturbation.kind].unit if perturbation.level else ""
    return Rung(perturbation.kind, perturbation.level, perturbation.parameter, unit, found["auc"])


def _notes(data: DataFacts, whole: SliceResult, failures: Sequence[Failure], perturbed: bool) -> list[str]:
    """Returns what must be read before the figures are."""
    notes = []
    if data.made_by_code:
        notes.append(
            f"No forgery in this set: all are {SYNTHETIC}, made from its real photos, one of each type a photo, real "
            "and forged under the same degradations. These are no figures on real deepfakes; on those expect less."
        )
    if whole.videos["auc"] is None:
        notes.append(f"{data.path}, split {data.split}: {whole.note}. Only the error rate of the class that is there.")
    silent = whole.counts.real_videos_not_judged + whole.counts.fake_videos_not_judged
    if silent:
        notes.append(
            f"{silent} of {whole.counts.real_videos + whole.counts.fake_videos} videos get no probability from the "
            "runtime (faces too small, or maybe no faces) and are in no figure by video."
        )
    if failures:
        notes.append(f"Pictures that could not be measured and are in no figure: {len(failures)}.")
    if perturbed and data.made_by_code:
        notes.append("Perturbations act on the 224 px crops, which are degraded already.")
    if perturbed:
        notes.append("Each frame is compressed alone: a real video's later frames also inherit from earlier ones.")
    return notes
