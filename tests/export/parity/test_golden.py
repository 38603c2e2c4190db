from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from tinydf_export.parity.golden import decode_crops, draw_golden_crops, encode_crops
from tinydf_runtime.errors import ModelFileError
from tinydf_runtime.faces.crop import CropConfig
from tinydf_runtime.models.spec import ModelSpec


def packed() -> tuple[np.ndarray, str, ModelSpec]:
    crops = draw_golden_crops(CropConfig())
    text, sha256 = encode_crops(crops)
    return crops, text, ModelSpec(name="any", golden_sha256=sha256, golden_probability=(0.5,) * len(crops))


def test_crops_survive_packing() -> None:
    crops, text, spec = packed()
    np.testing.assert_array_equal(decode_crops(text, spec, "m.onnx"), crops)


def test_crops_are_drawn_alike_every_time_and_all_differ() -> None:
    crops = draw_golden_crops(CropConfig())
    assert crops.shape == (5, 224, 224, 3) and crops.dtype == np.uint8
    np.testing.assert_array_equal(crops, draw_golden_crops(CropConfig()))
    assert len({crop.tobytes() for crop in crops}) == len(crops)


def test_forged_crop_differs_from_the_face_inside_it() -> None:
    face, _, forged, *_ = draw_golden_crops(CropConfig()).astype(int)
    difference = np.abs(face - forged).mean(axis=2)
    assert difference.max() > 20
    assert difference[:8].mean() < difference[80:180, 60:160].mean()


def test_first_crop_is_in_rgb_order() -> None:
    face = draw_golden_crops(CropConfig())[0]
    red, _, blue = face[100:130, 100:130].reshape(-1, 3).mean(axis=0)
    assert red > blue + 20


@pytest.mark.parametrize("damage", ["[]", "not json", "[1]", '["AAAA"]', "{}"])
def test_damaged_crops_are_refused(damage: str) -> None:
    _, _, spec = packed()
    with pytest.raises(ModelFileError, match=r"m\.onnx"):
        decode_crops(damage, spec, "m.onnx")


def test_swapped_crops_are_refused() -> None:
    _, text, spec = packed()
    with pytest.raises(ModelFileError, match="not those"):
        decode_crops(json.dumps(json.loads(text)[::-1]), spec, "m.onnx")


def test_missing_probability_is_refused() -> None:
    _, text, spec = packed()
    with pytest.raises(ModelFileError):
        decode_crops(text, replace(spec, golden_probability=(0.5,)), "m.onnx")


def test_crops_of_another_size_are_refused() -> None:
    crops = np.zeros((1, 8, 8, 3), np.uint8)
    text, sha256 = encode_crops(crops)
    with pytest.raises(ModelFileError, match="224 px"):
        decode_crops(text, ModelSpec(name="any", golden_sha256=sha256, golden_probability=(0.5,)), "m.onnx")
