from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

onnx = pytest.importorskip("onnx")

from onnx import ModelProto, TensorProto, helper, numpy_helper  # noqa: E402

from tinydf_calibration.table import (  # noqa: E402
    CalibrationTable,
    check_fits,
    graph_hash,
    read_table,
    rekey,
    write_table,
)
from tinydf_runtime.errors import CalibrationFileError, ExitCode, OutputError, StaleTableError  # noqa: E402

TABLE = CalibrationTable(
    checkpoint_sha256="c" * 64,
    graph_sha256="9" * 64,
    crop_sha256="a" * 64,
    sample_sha256="5" * 64,
    samples=2,
    method="entropy",
    ranges={"b": (-1.5, 0.1), "a": (0.0, 3.0)},
    float_layers=("last",),
    channel_scales={"first": (1.0, 0.25)},
    weight_moves={"conv": "eJxjAAAAAQAB"},
    bias_shifts={"conv": (0.001, -2.0)},
    measured={"auc": 0.9},
)


def small_model(weight: float = 2.0, name: str = "scale") -> ModelProto:
    value = helper.make_tensor_value_info
    graph = helper.make_graph(
        [helper.make_node("Mul", ["x", "w"], ["y"], name=name)],
        "small",
        [value("x", TensorProto.FLOAT, ["n"])],
        [value("y", TensorProto.FLOAT, ["n"])],
        [numpy_helper.from_array(np.array([weight], np.float32), "w")],
    )
    return helper.make_model(graph)


def test_a_table_read_back_is_the_table_written(tmp_path: Path) -> None:
    write_table(TABLE, tmp_path / "table.json")
    assert read_table(tmp_path / "table.json") == TABLE


def test_lists_of_numbers_stand_on_one_line() -> None:
    table = replace(TABLE, bias_shifts={"conv": (-0.5, 1e-05, 2.0)}, ranges={"a [1,  2]": (0.0, 1.5)})
    lines = table.to_json().splitlines()
    assert '  "conv": [-0.5, 1e-05, 2.0]' in lines
    assert '  "a [1,  2]": [0.0, 1.5]' in lines


def test_equal_tables_give_equal_bytes_whatever_the_order_of_their_entries() -> None:
    turned = replace(TABLE, ranges=dict(sorted(TABLE.ranges.items())))
    assert turned.to_json() == TABLE.to_json()
    assert turned.sha256() == TABLE.sha256()
    assert replace(TABLE, method="mse").sha256() != TABLE.sha256()


@pytest.mark.parametrize(
    "spoil",
    [
        lambda values: values | {"schema": "tinydf.calibration/1"},
        lambda values: values | {"schema": "tinydf.calibration/9"},
        lambda values: values | {"method": "guess"},
        lambda values: values | {"ranges": {"a": [1.0, -1.0]}},
        lambda values: values | {"ranges": {"a": [1.0]}},
        lambda values: values | {"unheard": 1},
        lambda values: {key: value for key, value in values.items() if key != "samples"},
        lambda values: [values],
        lambda values: values | {"ranges": {"a": [0.0, float("inf")]}},
        lambda values: values | {"ranges": {"a": [float("-inf"), 0.0]}},
        lambda values: values | {"ranges": {"a": [float("nan"), 1.0]}},
        lambda values: values | {"ranges": {"a": ["0", "1"]}},
        lambda values: values | {"ranges": {"a": [True, 1.0]}},
        lambda values: values | {"ranges": [["a", 0.0, 1.0]]},
        lambda values: values | {"channel_scales": {"first": [float("nan")]}},
        lambda values: values | {"channel_scales": {"first": [0.0]}},
        lambda values: values | {"channel_scales": {"first": [-1.0]}},
        lambda values: values | {"channel_scales": {"first": "abc"}},
        lambda values: values | {"weight_moves": {"conv": [1, -1]}},
        lambda values: values | {"weight_moves": {"conv": "\n"}},
        lambda values: values | {"bias_shifts": {"conv": [float("inf")]}},
        lambda values: values | {"bias_shifts": {"conv": [[1.0]]}},
        lambda values: values | {"float_layers": "last"},
        lambda values: values | {"float_layers": [1]},
        lambda values: values | {"samples": 2.5},
        lambda values: values | {"samples": True},
        lambda values: values | {"samples": -1},
        lambda values: values | {"crop_sha256": 5},
        lambda values: values | {"graph_sha256": None},
        lambda values: values | {"method": ["entropy"]},
        lambda values: values | {"measured": {"a" * 10_000: 1}},
        lambda values: values | {"measured": "x"},
        lambda values: values | {"measured": []},
    ],
)
def test_a_damaged_table_is_refused_by_name(spoil: Callable[[dict[str, object]], object], tmp_path: Path) -> None:
    path = tmp_path / "table.json"
    path.write_text(json.dumps(spoil(json.loads(TABLE.to_json()))))
    with pytest.raises(CalibrationFileError, match=r"table\.json") as caught:
        read_table(path)
    assert caught.value.exit_code == ExitCode.UNTRUSTED


def test_a_missing_and_a_binary_table_are_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(CalibrationFileError, match=r"gone\.json"):
        read_table(tmp_path / "gone.json")
    (tmp_path / "model.onnx").write_bytes(b"\xff\xfe\x80")
    with pytest.raises(CalibrationFileError, match=r"model\.onnx"):
        read_table(tmp_path / "model.onnx")


def test_a_table_that_cannot_be_written_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(OutputError):
        write_table(TABLE, tmp_path / "no folder" / "table.json")
    assert list(tmp_path.iterdir()) == []


def test_only_a_table_of_the_same_weights_crop_config_and_graph_fits() -> None:
    model = small_model()
    table = replace(TABLE, graph_sha256=graph_hash(model))
    check_fits(table, "c" * 64, model, "a" * 64)
    for checkpoint, graph, crop, said in (
        ("d" * 64, model, "a" * 64, "weights"),
        ("c" * 64, small_model(name="other"), "a" * 64, "graph"),
        ("c" * 64, model, "b" * 64, "crop config"),
    ):
        with pytest.raises(StaleTableError, match=said) as caught:
            check_fits(table, checkpoint, graph, crop)
        assert caught.value.exit_code == ExitCode.UNTRUSTED


def test_a_graphs_hash_tells_structure_and_neither_metadata_nor_the_values_of_weights() -> None:
    model = small_model()
    described = small_model()
    helper.set_model_props(described, {"made": "today"})
    described.graph.node[0].doc_string = "doubles"
    assert graph_hash(described) == graph_hash(model)
    # The last bit of a folded weight is the processor's.
    assert graph_hash(small_model(float(np.nextafter(np.float32(2), np.float32(3))))) == graph_hash(model)


def change_type(model: ModelProto) -> None:
    model.graph.initializer[0].CopyFrom(numpy_helper.from_array(np.array([2], np.float16), "w"))


def change_shape(model: ModelProto) -> None:
    model.graph.initializer[0].CopyFrom(numpy_helper.from_array(np.array([[2]], np.float32), "w"))


def change_axes(model: ModelProto) -> None:
    model.graph.initializer[1].CopyFrom(numpy_helper.from_array(np.array([1], np.int64), "axes"))


def change_attribute(model: ModelProto) -> None:
    model.graph.node[0].attribute.append(helper.make_attribute("alpha", 0.5))


def change_tensor_attribute(model: ModelProto) -> None:
    value = numpy_helper.from_array(np.array([2, 3], np.int64))
    model.graph.node[0].attribute.append(helper.make_attribute("value", value))


@pytest.mark.parametrize(
    "change",
    [
        lambda model: setattr(model.graph.node[0], "name", "other"),
        lambda model: setattr(model.graph.node[0], "op_type", "Add"),
        lambda model: setattr(model, "model_version", 2),
        lambda model: setattr(model.graph.output[0], "name", "z"),
        change_type,
        change_shape,
        change_axes,
        change_attribute,
        change_tensor_attribute,
    ],
)
def test_each_change_of_structure_is_another_graph(change: Callable[[ModelProto], None]) -> None:
    model = small_model()
    model.graph.initializer.append(numpy_helper.from_array(np.array([0], np.int64), "axes"))
    before = graph_hash(model)
    change(model)
    assert graph_hash(model) != before


def test_a_table_of_the_same_weights_is_rekeyed_with_all_its_ranges() -> None:
    table = replace(
        TABLE, ranges={"x": (0.0, 1.0)}, float_layers=("scale",), channel_scales={}, weight_moves={}, bias_shifts={}
    )
    moved = rekey(table, "c" * 64, small_model(), "a" * 64)
    assert moved == replace(table, graph_sha256=graph_hash(small_model()))
    check_fits(moved, "c" * 64, small_model(), "a" * 64)


@pytest.mark.parametrize(
    ("change", "checkpoint", "said"),
    [
        ({}, "d" * 64, "weights"),
        ({"crop_sha256": "b" * 64}, "c" * 64, "crop config"),
        ({"ranges": {"gone": (0.0, 1.0)}}, "c" * 64, "such as gone"),
        ({"float_layers": ("gone",)}, "c" * 64, "such as gone"),
        ({"channel_scales": {"gone": (1.0,)}}, "c" * 64, "such as gone"),
        ({"weight_moves": {"gone": ""}}, "c" * 64, "such as gone"),
        ({"bias_shifts": {"gone": (1.0,)}}, "c" * 64, "such as gone"),
    ],
)
def test_a_table_that_does_not_fit_is_not_rekeyed(change: dict[str, object], checkpoint: str, said: str) -> None:
    table = replace(TABLE, ranges={}, float_layers=(), channel_scales={}, weight_moves={}, bias_shifts={})
    with pytest.raises(StaleTableError, match=said):
        rekey(replace(table, **change), checkpoint, small_model(), "a" * 64)  # type: ignore[arg-type]


@pytest.mark.parametrize("text", ["[" * 100_000, '{"a":' * 100_000, "null", "", "9" * 100_000], ids=range(5))
def test_text_that_is_no_table_is_refused(text: str, tmp_path: Path) -> None:
    (tmp_path / "table.json").write_text(text)
    with pytest.raises(CalibrationFileError, match=r"table\.json"):
        read_table(tmp_path / "table.json")


def test_a_link_to_a_device_is_not_read(tmp_path: Path) -> None:
    (tmp_path / "zero.json").symlink_to("/dev/zero")
    with pytest.raises(CalibrationFileError, match=r"zero\.json"):
        read_table(tmp_path / "zero.json")
