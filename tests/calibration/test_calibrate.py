from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

onnx = pytest.importorskip("onnx")

from onnx import ModelProto  # noqa: E402

from tinydf_calibration.agreement import Bounds  # noqa: E402
from tinydf_calibration.calibrate import Keys, calibrate  # noqa: E402
from tinydf_calibration.candidates import distinct_schemes, open_judge  # noqa: E402
from tinydf_calibration.fusion_groups import find_fusion_groups  # noqa: E402
from tinydf_calibration.quantize import quantizable_layers, quantizable_tensors  # noqa: E402
from tinydf_calibration.report import kept_groups, render_page, to_json  # noqa: E402
from tinydf_calibration.sampler import LabelledCrops  # noqa: E402
from tinydf_calibration.schemes import QDQ_SCHEMES  # noqa: E402
from tinydf_calibration.sensitivity import QUIETEST_DB, signal_to_noise_db, time_groups, time_nodes  # noqa: E402  # noqa: E402
from tinydf_calibration.table import METHODS, CalibrationTable, check_fits  # noqa: E402

Draw = Callable[[int, int], LabelledCrops]
KEYS = Keys("c" * 64, "a" * 64, 0.5)
LOOSE = Bounds(auc_drop=1.0, mean_difference=1.0, flipped=1.0)
STRICT = Bounds(auc_drop=1.0, mean_difference=1e-9, flipped=1.0)


@pytest.fixture(scope="module")
def table(small_network: ModelProto, draw_crops: Draw) -> CalibrationTable:
    return calibrate(small_network, draw_crops(12, 1), draw_crops(20, 2), KEYS, LOOSE)


def test_a_table_holds_a_range_for_each_tensor_and_fits_its_network(
    table: CalibrationTable, small_network: ModelProto
) -> None:
    assert set(table.ranges) == set(quantizable_tensors(small_network))
    check_fits(table, KEYS.checkpoint_sha256, small_network, KEYS.crop_sha256)
    assert CalibrationTable.from_json(table.to_json(), "table") == json_like(table)


def json_like(table: CalibrationTable) -> CalibrationTable:
    """The table with lists where JSON makes lists of tuples."""
    return replace(table, measured=json.loads(json.dumps(table.measured)))


def test_the_cheapest_method_is_the_tables(table: CalibrationTable) -> None:
    methods = table.measured["methods"]
    assert list(methods) == list(METHODS)
    assert methods[table.method]["cost"] == min(tried["cost"] for tried in methods.values())
    assert all(set(tried["dialects"]) == set(distinct_schemes()) for tried in methods.values())


def test_fixes_are_in_the_table_only_where_they_help(table: CalibrationTable) -> None:
    fixes = {
        "equalisation": table.channel_scales,
        "rounding": table.weight_moves,
        "bias_correction": table.bias_shifts,
    }
    for fix, values in fixes.items():
        figures = table.measured[fix]
        assert figures["kept"] == bool(values) == (figures["cost_after"] < 0.97 * figures["cost_before"]), fix


def test_what_the_table_says_is_what_it_does(
    table: CalibrationTable, small_network: ModelProto, draw_crops: Draw
) -> None:
    judge = open_judge(small_network, draw_crops(20, 2), KEYS.threshold)
    for scheme, said in table.measured["agreement"].items():
        assert judge.judge(table, scheme).to_dict() == pytest.approx(said)


def test_no_layer_stays_in_float_without_need_and_all_do_if_nothing_less_will_do(
    table: CalibrationTable, small_network: ModelProto, draw_crops: Draw
) -> None:
    assert table.float_layers == ()
    strict = calibrate(small_network, draw_crops(12, 1), draw_crops(20, 2), KEYS, STRICT)
    noisy = {one["name"] for one in strict.measured["sensitivity"] if one["signal_to_noise_db"] < QUIETEST_DB}
    assert len(noisy) >= 5
    assert noisy <= set(strict.float_layers)
    assert all(one["mean_difference"] <= 1e-7 for one in strict.measured["agreement"].values())
    assert noisy <= set(kept_groups(strict))
    # Whoever asks what would have been without float layers finds it.
    assert strict.measured["search"][0]["float_units"] == 0
    assert set(strict.measured["search"][0]["dialects"]) == set(QDQ_SCHEMES)


def test_calibrating_twice_gives_tables_that_export_alike(
    table: CalibrationTable, small_network: ModelProto, draw_crops: Draw
) -> None:
    again = calibrate(small_network, draw_crops(12, 1), draw_crops(20, 2), KEYS, LOOSE)
    assert again.sha256() == table.sha256()


def test_units_hold_every_layer_behind_a_convolution_once(small_network: ModelProto) -> None:
    layers = quantizable_layers(small_network)
    groups = find_fusion_groups(small_network, layers)
    nodes = [node for group in groups for node in group.nodes]
    assert len(nodes) == len(set(nodes))
    assert set(nodes) == set(layers)
    by_name = {group.name: group for group in groups}
    assert by_name["project"].nodes == ("project", "join")
    assert set(by_name["gate"].nodes) == {"gate", "gate_sigmoid", "excite"}
    assert by_name["depthwise"].shape == (8, 1, 3, 3)


def test_time_is_told_by_unit(small_network: ModelProto, draw_crops: Draw) -> None:
    groups = find_fusion_groups(small_network, quantizable_layers(small_network))
    nodes = time_nodes(small_network, draw_crops(1, 1).crops[0])
    by_group = time_groups(nodes, groups)
    assert set(by_group) == {group.name for group in groups}
    assert by_group["stem"] > 0
    assert sum(by_group.values()) <= sum(nodes.values())
    # Names that ONNX Runtime makes up for fused and reordered work still say whose it is.
    assert time_groups({"expanded_nchwc": 2.0, "gate_token_17": 1.0, "elsewhere": 4.0}, groups)["expand"] == 2
    assert time_groups({"gate_token_17": 1.0, "gate_out_quantize": 0.5}, groups)["gate"] == 1.5


def test_signal_to_noise_is_in_decibel_and_bounded() -> None:
    logit = np.array([-10.0, 10.0] * 50)
    assert signal_to_noise_db(logit, logit + 1) == pytest.approx(20)
    assert signal_to_noise_db(logit, logit) == QUIETEST_DB
    assert signal_to_noise_db(logit, logit * np.nan) == -QUIETEST_DB


def test_the_page_shows_every_layer_and_needs_nothing_else(table: CalibrationTable) -> None:
    kept = table.measured["sensitivity"][1]
    page = render_page(replace(table, float_layers=tuple(kept["nodes"])), "a <b> on faces")
    assert "a &lt;b&gt; on faces" in page
    assert page.count("<svg") == 1
    assert page.count("<td>stays in float</td>") == 1
    assert all(f"<td>{one['name']}</td>" in page for one in table.measured["sensitivity"])
    assert "http://" not in page.replace("http://www.w3.org", "") and "<script" not in page
    assert "#00000" not in page[page.index("<svg") :]
    assert page == render_page(replace(table, float_layers=tuple(kept["nodes"])), "a <b> on faces")


def test_figures_are_valid_json(table: CalibrationTable) -> None:
    figures = json.loads(to_json(table, Path("table.json")))
    assert figures["schema"] == "tinydf.calibrate/1"
    assert figures["sha256"] == table.sha256()
    assert len(figures["sensitivity"]) == len(table.measured["sensitivity"])
