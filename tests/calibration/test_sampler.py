from __future__ import annotations

from collections.abc import Callable

import numpy as np

from tinydf_calibration.sampler import LabelledCrops, cut_into_parts, hash_crops, stratified_sample


def test_rare_values_are_taken_as_often_as_common_ones() -> None:
    source = np.array(["common"] * 900 + ["rare"] * 60 + ["middling"] * 240)
    forged = np.arange(1200) % 3 == 0
    chosen = stratified_sample([source, forged], 90)
    assert len(set(chosen)) == 90
    assert [int((source[chosen] == one).sum()) for one in ("common", "rare", "middling")] == [30, 30, 30]
    assert int(forged[chosen].sum()) == 45


def test_what_is_used_up_leaves_its_share_to_others() -> None:
    source = np.array(["common"] * 95 + ["rare"] * 5)
    chosen = stratified_sample([source], 40)
    assert (source[chosen] == "rare").sum() == 5
    assert len(chosen) == 40


def test_numbers_count_by_thirds_of_their_distribution() -> None:
    sharpness = np.geomspace(1, 10_000, 300)
    assert np.bincount(cut_into_parts(sharpness)).tolist() == [100, 100, 100]
    chosen = stratified_sample([sharpness], 60)
    assert np.bincount(cut_into_parts(sharpness)[chosen]).tolist() == [20, 20, 20]


def test_choice_follows_from_the_seed_alone_and_all_is_all() -> None:
    source = np.array(["a", "b"] * 50)
    assert np.array_equal(stratified_sample([source], 10, 3), stratified_sample([source], 10, 3))
    assert not np.array_equal(stratified_sample([source], 10, 3), stratified_sample([source], 10, 4))
    assert stratified_sample([source], 500).tolist() == list(range(100))


def test_taken_crops_keep_their_facts(draw_crops: Callable[[int, int], LabelledCrops]) -> None:
    crops = draw_crops(10, 1)
    taken = crops.take(np.array([7, 2]))
    assert len(taken) == 2
    assert np.array_equal(taken.crops, crops.crops[[7, 2]])
    assert all(np.array_equal(values, crops.attributes()[name][[7, 2]]) for name, values in taken.attributes().items())


def test_hash_tells_pixels_and_order(draw_crops: Callable[[int, int], LabelledCrops]) -> None:
    crops = draw_crops(4, 1).crops
    assert hash_crops(crops) == hash_crops(crops.copy())
    assert hash_crops(crops) != hash_crops(crops[::-1])
