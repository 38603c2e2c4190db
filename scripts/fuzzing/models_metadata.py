"""Networks whose metadata has other types, other ranges or other sizes than it may have."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterator
from functools import partial
from typing import Any

import cv2
import numpy as np

from fuzzing.case import REFUSED, Case
from fuzzing.networks import DETECTOR_KEY, SPEC_KEY, described, facts

_NAN, _INF = float("nan"), float("inf")
_DEEP = 100_000

_NO_NUMBER: tuple[Any, ...] = (None, "0.5", True, [], {}, _NAN, _INF)
_NO_HASH: tuple[Any, ...] = (5, None, "zz", [], "0" * 63, "G" * 64)
_BAD: dict[str, tuple[Any, ...]] = {
    "threshold": (*_NO_NUMBER, 7, -1),
    "temperature": (*_NO_NUMBER, 0, -1),
    "name": (None, 5, [], "n" * (10 << 20), "a\x1b[31mb", "a\nb", "\ud800"),
    "precision": (None, 5, "int4", ["fp32"], {}),
    "schema": (None, 5, [], "tinydf.model/2"),
    "crop": (None, 5, [], {}),
    "crop_sha256": (*_NO_HASH, "0" * 64),
    "checkpoint_sha256": _NO_HASH,
    "calibration_sha256": (5, "zz", []),
    "versions": (None, 5, [], {"a": 1}, {f"v{n}": "1" for n in range(100_000)}),
    "golden_sha256": (5, None, "zz"),
    "golden_probability": (None, 5, "x", [_NAN], [7], [None], ["a"], {"a": 1}),
    "proof": (5, "x", []),
    "fpr_thresholds": (None, 5, [[1]], [["a", "b"]], [[_NAN, 0.5]], [[0.1, 7]], [[-1, 0.5]], {"a": 1}),
    "real_people": (5, [], {}, {"people": -1, "ranks": []}, {"people": 9, "ranks": [[1, _NAN]]}, {"people": "9"}),
    "real_pictures": (5, {"people": 10**30, "ranks": [[1, 2]]}, {"people": 3, "ranks": 5}),
    "unknown": (1,),
}
_BAD_CROP: dict[str, tuple[Any, ...]] = {
    "margin": (*_NO_NUMBER, -1, 1e9),
    "side_px": (None, "224", True, 0, -224, 1.5, 1 << 62, 10**9),
    "version": (None, "1", 99, 1.5),
    "unknown": (1,),
}
_BAD_DETECTOR: dict[str, tuple[Any, ...]] = {
    "schema": (None, 5, "tinydf.detector/9"),
    "name": (None, 5, "n" * (10 << 20), "a\nb"),
    "score_threshold": (*_NO_NUMBER, 7, -1),
    "nms_iou": (*_NO_NUMBER, 7, -1),
    "certain_score": (*_NO_NUMBER, 7, -1),
}
_NEEDED = ("schema", "crop", "crop_sha256", "score_threshold", "nms_iou")
_TEXTS = {
    "nothing": "",
    "null": "null",
    "number": "5",
    "list": "[]",
    "text": '"x"',
    "half": '{"schema": "tinydf.model/1", ',
    "no_json": "<xml/>",
    "lists": "[" * _DEEP + "]" * _DEEP,
    "objects": '{"a":' * _DEEP + "1" + "}" * _DEEP,
    "digits": '{"schema": ' + "9" * 200_000 + "}",
    "spaces": " " * (30 << 20),
    "nan": "NaN",
    "mark": "\ufeff{}",
}


def cases(seed: int) -> Iterator[Case]:
    """Yields networks that are whole but for what they say about themselves."""
    yield Case("whole.onnx", "whole", partial(_changed, True, {}), "classifier", (0,))
    yield Case("whole_detector.onnx", "whole", partial(_changed, False, {}), "detector", (0,))
    for classifier, table in ((True, _BAD), (False, _BAD_DETECTOR)):
        for name, values in table.items():
            for number, value in enumerate(values):
                make = partial(_changed, classifier, {name: value})
                yield _refused(f"{name}_{number}", "field", make, classifier)
            if name != "unknown":
                codes = REFUSED if name in _NEEDED else (0, 6)
                yield _refused(
                    f"{name}_missing", "missing field", partial(_without, classifier, name), classifier, codes
                )
        key = SPEC_KEY if classifier else DETECTOR_KEY
        for word, text in _TEXTS.items():
            yield _refused(f"text_{word}", "text", partial(described, text, key), classifier)
    for name, values in _BAD_CROP.items():
        for number, value in enumerate(values):
            make = partial(_changed, True, {"crop": facts()["crop"] | {name: value}})
            yield _refused(f"crop_{name}_{number}", "crop config", make)
    yield _refused("proof_deep", "text", partial(described, _with_deep_proof()))
    for word, text in _goldens().items():
        expected = facts() | _golden_facts(text)
        yield _refused(f"golden_{word}", "golden crops", partial(described, json.dumps(expected), golden=text))


def _refused(word: str, group: str, make: Any, classifier: bool = True, codes: tuple[int, ...] = REFUSED) -> Case:
    probe = "classifier" if classifier else "detector"
    return Case(f"{probe}_{word}.onnx", f"{probe} {group}", make, "classifier" if classifier else "detector", codes)


def _changed(classifier: bool, change: dict[str, Any]) -> bytes:
    return described(json.dumps(facts(classifier) | change), SPEC_KEY if classifier else DETECTOR_KEY)


def _without(classifier: bool, name: str) -> bytes:
    values = facts(classifier)
    values.pop(name, None)
    return described(json.dumps(values), SPEC_KEY if classifier else DETECTOR_KEY)


def _with_deep_proof() -> str:
    return json.dumps(facts() | {"proof": 0}).replace('"proof": 0', '"proof": ' + "[" * _DEEP + "]" * _DEEP)


def _golden_facts(text: str) -> dict[str, Any]:
    """Returns a hash and probabilities that fit the crops, so that these are decoded, where they are any."""
    try:
        pictures = [base64.b64decode(item) for item in json.loads(text)]
    except (ValueError, TypeError, RecursionError):
        return {"golden_probability": [0.5], "golden_sha256": "0" * 64}
    digest = hashlib.sha256(b"".join(pictures)).hexdigest()
    return {"golden_probability": [0.5] * max(1, len(pictures)), "golden_sha256": digest}


def _goldens() -> dict[str, str]:
    """Returns what may stand in the golden crops' place: of other types, no pictures, too large, too many."""
    large = cv2.imencode(".png", np.zeros((9000, 9000, 3), np.uint8))[1].tobytes()
    small = cv2.imencode(".png", np.zeros((8, 8, 3), np.uint8))[1].tobytes()
    return {
        "null": "null",
        "object": "{}",
        "number": "[5]",
        "no_base64": '["!"]',
        "no_picture": '["AAAA"]',
        "empty": "[]",
        "too_small": json.dumps([base64.b64encode(small).decode()]),
        "too_large": json.dumps([base64.b64encode(large).decode()] * 4),
        "too_many": json.dumps([base64.b64encode(small).decode()] * 50_000),
        "deep": "[" * _DEEP,
        "long": '["' + "A" * (40 << 20) + '"]',
    }
