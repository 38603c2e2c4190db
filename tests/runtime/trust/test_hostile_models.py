"""Model files from strangers: each is refused in one line before it judges anybody; none hangs or ends a process."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from click.testing import CliRunner
from onnx import TensorProto, helper, numpy_helper

from tinydf_runtime.cli.run import main
from tinydf_runtime.engines import first_use
from tinydf_runtime.engines.loading import load_engine, open_engine
from tinydf_runtime.errors import ModelFileError
from tinydf_runtime.faces.detector import FaceDetector
from tinydf_runtime.models.spec import METADATA_KEY, ModelSpec
from tinydf_runtime.trust.onnx_file import read_onnx
from tinydf_runtime.trust.reading import read_model_file

SPEC = json.loads(ModelSpec(name="tiny-green").to_json())
DETECTOR: dict[str, Any] = {"schema": "tinydf.detector/1", "name": "squares", "score_threshold": 0.5, "nms_iou": 0.4}
Change = Callable[[onnx.ModelProto], object]


def refusal(use: Callable[[], object]) -> str:
    with pytest.raises(ModelFileError) as caught:
        use()
    message = str(caught.value)
    assert int(caught.value.exit_code) == 6 and "\n" not in message and len(message) < 600
    return message


@pytest.mark.parametrize(
    "change",
    [
        {"threshold": 7},
        {"threshold": None},
        {"threshold": "0.5"},
        {"threshold": True},
        {"threshold": 0},
        {"threshold": 10**400},
        {"temperature": 0},
        {"temperature": -1.0},
        {"name": "n" * 10_000_000},
        {"name": 5},
        {"name": "\ud800"},
        {"name": "a\x1b[2J"},
        {"name": "a\x9b2J"},
        {"name": "a\u2028b"},
        {"precision": "fp7"},
        {"precision": ["fp32"]},
        {"crop": None},
        {"crop": {"side_px": 224, "margin": "0.1", "version": 1}},
        {"crop": {"side_px": 10**9, "margin": 0.1, "version": 1}},
        {"crop": {"side_px": 224.5, "margin": 0.1, "version": 1}},
        {"crop": {"side_px": 224, "margin": 0.1, "version": 1, "more": 1}},
        {"crop": {"side_px": 224, "margin": 0.125, "version": 99}},
        {"crop_sha256": 5},
        {"crop_sha256": None},
        {"checkpoint_sha256": "../../etc"},
        {"calibration_sha256": 7},
        {"versions": ["torch"]},
        {"versions": {"torch": 2}},
        {"golden_probability": 5},
        {"golden_probability": [2.0]},
        {"golden_probability": [[0.5]]},
        {"golden_sha256": []},
        {"proof": [1]},
        {"fpr_thresholds": [[0.1]]},
        {"fpr_thresholds": [[0.1, 0.5], [0.05, 0.9]]},
        {"fpr_thresholds": {"0.1": 0.5}},
        {"real_people": {"people": 0, "ranks": []}},
        {"real_people": {"people": 3, "ranks": [[1, 2.0], [3, 4.0]]}},
        {"real_people": {"people": 3, "ranks": [[2, 2.0], [3, 1.0]]}},
        {"real_pictures": 1},
        {"schema": None},
        {"unheard": 1},
    ],
    ids=lambda change: "-".join(change),
)
def test_metadata_of_another_type_or_out_of_range_is_refused(change: dict[str, Any]) -> None:
    assert "model.onnx" in refusal(lambda: ModelSpec.from_json(json.dumps(SPEC | change), "model.onnx"))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "null",
        "[]",
        "5",
        "[" * 100_000,
        '{"a":' * 100_000,
        json.dumps(SPEC).replace('"threshold": 0.5', '"threshold": NaN'),
        json.dumps(SPEC).replace('"margin": 0.125', '"margin": NaN'),
        json.dumps(SPEC).replace('"threshold": 0.5', '"threshold": 1e999'),
        json.dumps(SPEC).replace('"threshold": 0.5', '"threshold": ' + "9" * 100_000),
        json.dumps(SPEC)[:-1] + ', "threshold": 0.9}',
        json.dumps(SPEC | {"proof": {}}).replace('"proof": {}', '"proof": {"a":' + "[" * 500 + "]" * 500 + "}"),
    ],
    ids=range(12),
)
def test_text_that_is_no_json_of_ours_is_refused(text: str) -> None:
    refusal(lambda: ModelSpec.from_json(text, "model.onnx"))


@pytest.mark.parametrize(
    "facts",
    [
        DETECTOR | {"score_threshold": 7},
        DETECTOR | {"score_threshold": None},
        DETECTOR | {"score_threshold": 0},
        DETECTOR | {"nms_iou": float("nan")},
        DETECTOR | {"nms_iou": "0.4"},
        DETECTOR | {"name": 5},
        DETECTOR | {"certain_score": 2},
        DETECTOR | {"schema": "tinydf.detector/9"},
        [DETECTOR],
        {},
    ],
    ids=range(10),
)
def test_a_detectors_metadata_is_held_to_types_and_ranges(facts: Any, make_detector: Callable[..., Path]) -> None:
    path = make_detector({"tinydf.detector": json.dumps(facts)})
    refusal(lambda: FaceDetector(path, sandbox=False))


def graph_in(model: onnx.ModelProto, kind: str) -> None:
    """Puts a node with a graph inside in front."""
    body = helper.make_graph([], "body", [], [helper.make_tensor_value_info("x", TensorProto.FLOAT, [])])
    node = helper.make_node("Custom" if kind == "hidden" else kind, ["rounds", "go", "start"], ["end"], body=body)
    if kind == "hidden":
        node.op_type = "Identity"
    model.graph.node.insert(0, node)


def set_weight(model: onnx.ModelProto, value: float, kind: Any) -> None:
    model.graph.initializer[0].CopyFrom(numpy_helper.from_array(np.array(value, kind), "per_level"))


def set_weight_in_list(model: onnx.ModelProto) -> None:
    model.graph.initializer[0].CopyFrom(helper.make_tensor("per_level", TensorProto.FLOAT, [], [float("nan")]))


def add_tensor(model: onnx.ModelProto, kind: int, **content: Any) -> None:
    model.graph.initializer.append(TensorProto(name="more", data_type=kind, dims=[1], **content))


def add_node(model: onnx.ModelProto, kind: str, inputs: Sequence[str] = (), **settings: Any) -> None:
    model.graph.node.append(helper.make_node(kind, inputs, ["more"], **settings))


def keep_elsewhere(model: onnx.ModelProto, spell: str) -> None:
    tensor = model.graph.initializer[0]
    if spell in ("location", "both"):
        tensor.data_location = TensorProto.EXTERNAL
    if spell in ("entry", "both"):
        entry = tensor.external_data.add()
        entry.key, entry.value = "location", "/etc/passwd"
    if spell == "attribute":
        value = TensorProto(name="c", data_type=1, dims=[1], data_location=TensorProto.EXTERNAL)
        model.graph.node.append(helper.make_node("Constant", [], ["c"], value=value))


HOSTILE: dict[str, tuple[Change, str]] = {
    "loop": (lambda model: graph_in(model, "Loop"), "Loop"),
    "scan": (lambda model: graph_in(model, "Scan"), "Scan"),
    "if": (lambda model: graph_in(model, "If"), "If"),
    "hidden": (lambda model: graph_in(model, "hidden"), "graph within its graph"),
    "random": (lambda model: add_node(model, "RandomNormal", shape=[1]), "lots"),
    "domain": (lambda model: setattr(model.graph.node[0], "domain", "com.microsoft"), "com.microsoft"),
    "opset": (lambda model: model.opset_import.append(helper.make_opsetid("evil", 1)), "evil"),
    "function": (lambda model: model.functions.append(onnx.FunctionProto(name="f")), "functions"),
    "training": (lambda model: model.training_info.append(onnx.TrainingInfoProto()), "functions"),
    "sparse": (lambda model: model.graph.sparse_initializer.append(onnx.SparseTensorProto()), "sparse"),
    "location": (lambda model: keep_elsewhere(model, "location"), "other files"),
    "entry": (lambda model: keep_elsewhere(model, "entry"), "other files"),
    "both": (lambda model: keep_elsewhere(model, "both"), "other files"),
    "attribute": (lambda model: keep_elsewhere(model, "attribute"), "other files"),
    "nan": (lambda model: set_weight(model, float("nan"), np.float32), "finite"),
    "inf": (lambda model: set_weight(model, float("inf"), np.float32), "finite"),
    "half": (lambda model: set_weight(model, float("inf"), np.float16), "finite"),
    "double": (lambda model: set_weight(model, float("nan"), np.float64), "finite"),
    "listed": (set_weight_in_list, "finite"),
    "bfloat16": (lambda model: add_tensor(model, TensorProto.BFLOAT16, raw_data=b"\xc0\x7f"), "finite"),
    "setting": (lambda model: add_node(model, "Elu", alpha=float("nan")), "finite"),
    "settings": (lambda model: add_node(model, "Constant", value_floats=[0.0, float("inf")]), "finite"),
    "half_as_whole": (lambda model: add_tensor(model, TensorProto.FLOAT16, int32_data=[0x7E00]), "form"),
    "float8": (lambda model: add_tensor(model, TensorProto.FLOAT8E5M2, raw_data=b"\x7f"), "form"),
    "dropout": (lambda model: add_node(model, "Dropout", ["a", "b", "c"]), "lots"),
    "nodes": (lambda model: model.graph.node.extend([model.graph.node[0]] * 20_000), "nodes"),
    "entries": (lambda model: [model.metadata_props.add(key=f"k{n}") for n in range(1001)], "metadata"),
    "weights": (lambda model: model.graph.initializer.extend([model.graph.initializer[0]] * 20_000), "weights"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_what_no_network_of_ours_has_is_refused_before_the_engine_sees_it(
    name: str, tiny_classifier: Path, tmp_path: Path
) -> None:
    change, said = HOSTILE[name]
    model = onnx.load(tiny_classifier)
    change(model)
    (path := tmp_path / "m.onnx").write_bytes(model.SerializeToString())
    assert said in refusal(lambda: load_engine(path, sandbox=False))


def field(key: int, content: bytes) -> bytes:
    """Returns a field of protocol buffers; the key is written as a number of any size."""
    assert len(content) < 128
    return varint(key) + bytes([len(content)]) + content


def varint(number: int) -> bytes:
    return bytes([number & 127 | 128]) + varint(number >> 7) if number > 127 else bytes([number])


def test_bits_that_onnx_runtime_drops_hide_nothing() -> None:
    node, beyond = field(1 << 3 | 2, field(4 << 3 | 2, b"Loop")), 1 << 32
    tensor = b"\x10" + varint(TensorProto.FLOAT + beyond) + field(9 << 3 | 2, np.float32(np.nan).tobytes())
    plain = field(7 << 3 | 2, field(1 << 3 | 2, field(4 << 3 | 2, b"Relu")))
    for hidden in (field((7 << 3 | 2) + beyond, node), field(7 << 3 | 2, field(5 << 3 | 2, tensor))):
        refusal(lambda hidden=hidden: read_onnx(plain + hidden, "m.onnx"))  # type: ignore[misc]
    assert read_onnx(plain, "m.onnx") == {}


def test_a_name_is_no_external_data(tiny_classifier: Path, tmp_path: Path) -> None:
    model = onnx.load(tiny_classifier)
    # What starts an entry that names a side file, in a text that nobody reads.
    model.doc_string = "\n\x08location"
    (path := tmp_path / "m.onnx").write_bytes(model.SerializeToString())
    assert load_engine(path, sandbox=False).spec.name == "tiny-green"


def test_cut_filled_and_turned_bytes_are_refused_or_load(tiny_classifier: Path, tmp_path: Path) -> None:
    whole = tiny_classifier.read_bytes()
    path = tmp_path / "m.onnx"
    pieces = [whole[: len(whole) * part // 8] for part in range(8)]
    odd = [
        b"ORTM" * 100,
        b"\x08\x00\x00\x00ORTM" + whole,
        b"\x3b" * 99,
        b"\xff" * 99,
        b"\x3a\xff\xff\xff\xff\x7f" + whole,
    ]
    for content in [*pieces, *odd, b"\0" * 1000]:
        path.write_bytes(content)
        refusal(lambda: load_engine(path, sandbox=False))


def test_links_pipes_folders_and_giants_are_not_read(tmp_path: Path, tiny_classifier: Path) -> None:
    (zero := tmp_path / "zero.onnx").symlink_to("/dev/zero")
    os.mkfifo(pipe := tmp_path / "pipe.onnx")
    (folder := tmp_path / "folder.onnx").mkdir()
    with (giant := tmp_path / "giant.onnx").open("wb") as file:
        file.truncate(1 << 40)
    for path in (zero, pipe, folder, giant, tmp_path / "none.onnx"):
        assert path.name in refusal(lambda path=path: open_engine(path))  # type: ignore[misc]
        assert path.name in refusal(lambda path=path: FaceDetector(path))  # type: ignore[misc]
    assert read_model_file(tiny_classifier, tiny_classifier.stat().st_size)
    refusal(lambda: read_model_file(tiny_classifier, tiny_classifier.stat().st_size - 1))


def network(outputs: dict[str, Any], image: list[Any], metadata: dict[str, str], *nodes: onnx.NodeProto) -> bytes:
    """Returns a network that gives these values whatever it is shown; NaN and infinity come of what it computes."""
    made, weights = list(nodes), [numpy_helper.from_array(np.zeros((), np.float32), "none")]
    for name, wanted in outputs.items():
        values = np.array(wanted)
        broken = ~np.isfinite(values)
        top = np.where(np.isnan(values), 0, np.where(broken, 1, values)).astype(values.dtype)
        bottom = np.where(broken, 0, 1).astype(values.dtype)
        weights += [numpy_helper.from_array(top, f"{name}_top"), numpy_helper.from_array(bottom, f"{name}_bottom")]
        made.append(helper.make_node("Div", [f"{name}_top", f"{name}_bottom"], [name]))
    graph = helper.make_graph(
        made,
        "fixed",
        [helper.make_tensor_value_info("image", TensorProto.UINT8, image)],
        [
            helper.make_tensor_value_info(
                name, helper.np_dtype_to_tensor_dtype(np.array(values).dtype), [None] * np.ndim(values)
            )
            for name, values in outputs.items()
        ],
        weights,
    )
    if "forgery_map" in outputs:
        del graph.output[1].type.tensor_type.shape.dim[1:]
        for side in (14, 14):
            graph.output[1].type.tensor_type.shape.dim.add().dim_value = side
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    helper.set_model_props(model, metadata)
    return bytes(model.SerializeToString())


def classifier(probability: Any, forgery_map: Any = None, *nodes: onnx.NodeProto) -> bytes:
    maps = np.zeros((1, 14, 14), np.float32) if forgery_map is None else forgery_map
    outputs = {"fake_probability": probability, "forgery_map": maps}
    return network(outputs, ["n", 3, 224, 224], {METADATA_KEY: json.dumps(SPEC)}, *nodes)


def floats(*values: float) -> np.ndarray:
    return np.array(values, np.float32)


@pytest.mark.parametrize(
    ("probability", "forgery_map"),
    [
        (floats(7.0), None),
        (floats(-3.0), None),
        (floats(1e38), None),
        (floats(np.nan), None),
        (floats(np.inf), None),
        (floats(0.5, 0.5), None),
        (floats(0.5)[None], None),
        (np.array([1], np.int32), None),
        (floats(0.5), np.full((1, 14, 14), np.nan, np.float32)),
        (floats(0.5), np.full((1, 14, 14), 9, np.float32)),
        (floats(0.5), np.zeros((2, 14, 14), np.float32)),
    ],
    ids=range(11),
)
def test_a_classifier_that_gives_no_probability_is_refused(probability: Any, forgery_map: Any, tmp_path: Path) -> None:
    (path := tmp_path / "m.onnx").write_bytes(classifier(probability, forgery_map))
    engine = load_engine(path, sandbox=False)
    refusal(lambda: engine.score(np.zeros((1, 224, 224, 3), np.uint8)))


@pytest.mark.parametrize(
    ("scores", "boxes", "landmarks", "said"),
    [
        (floats(np.nan)[None], np.zeros((1, 1, 4)), np.zeros((1, 1, 5, 2)), "no number"),
        (floats(7.0)[None], np.zeros((1, 1, 4)), np.zeros((1, 1, 5, 2)), "expected 0 to 1"),
        (floats(0.9)[None], np.full((1, 1, 4), np.nan), np.zeros((1, 1, 5, 2)), "without a place"),
        (floats(0.9)[None], np.array([[[0, 0, 9, 9]]]), np.full((1, 1, 5, 2), np.inf), "without a place"),
        (floats(0.9)[None], np.zeros((1, 1, 3)), np.zeros((1, 1, 5, 2)), "boxes_xyxy"),
        (floats(0.9, 0.9)[None], np.zeros((1, 1, 4)), np.zeros((1, 2, 5, 2)), "boxes_xyxy"),
        (floats(0.9), np.zeros((1, 1, 4)), np.zeros((1, 1, 5, 2)), "scores"),
    ],
    ids=range(7),
)
def test_a_detector_that_gives_no_numbers_is_refused_and_has_not_seen_that_there_is_no_face(
    scores: Any, boxes: Any, landmarks: Any, said: str, tmp_path: Path
) -> None:
    outputs = {"scores": scores, "boxes_xyxy": boxes.astype("f4"), "landmarks": landmarks.astype("f4")}
    metadata = {"tinydf.detector": json.dumps(DETECTOR)}
    (path := tmp_path / "d.onnx").write_bytes(network(outputs, ["n", "h", "w", 3], metadata))
    detector = FaceDetector(path, sandbox=False)
    assert said in refusal(lambda: detector.detect(np.zeros((64, 64, 3), np.uint8)))


def growing(sides: list[int]) -> bytes:
    """Returns a small classifier that asks for much memory when it is run."""
    shape = numpy_helper.from_array(np.array(sides, np.int64))
    nodes = [
        helper.make_node("Constant", [], ["shape"], value=shape),
        helper.make_node("Cast", ["image"], ["one"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMean", ["one"], ["mean"], keepdims=0),
        helper.make_node("Expand", ["mean", "shape"], ["much"]),
        helper.make_node("ReduceMean", ["much"], ["little"], keepdims=0),
    ]
    model = onnx.load_from_string(classifier(floats(0.5), None, *nodes))
    model.graph.output.append(helper.make_tensor_value_info("little", TensorProto.FLOAT, []))
    return bytes(model.SerializeToString())


def test_a_network_that_takes_all_memory_costs_a_child_alone(tmp_path: Path) -> None:
    (path := tmp_path / "m.onnx").write_bytes(growing([1 << 20, 1 << 13]))
    assert "loaded and run once" in refusal(lambda: load_engine(path))
    done = CliRunner().invoke(main, ["a.mp4", "--engine", str(path), "--json", str(tmp_path / "r.json")])
    assert done.exit_code == 6 and done.output.count("\n") == 1
    assert not (tmp_path / "r.json").exists()


def test_a_network_that_takes_too_long_is_given_up(tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match=r"not done after 0\.01 s"):
        first_use.check_first_run([growing([1 << 10, 1 << 9])], "onnxruntime", "m.onnx", limit_s=0.01)
    if os.name == "posix":
        with pytest.raises(ModelFileError, match="not done after 0 s of computing"):
            first_use.check_first_run([growing([1 << 10, 1 << 9])], "onnxruntime", "m.onnx", cpu_s=0)


def test_a_network_that_runs_is_tried_once_on_a_machine(
    tiny_classifier: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    content = [tiny_classifier.read_bytes()]
    first_use.check_first_run(content, "onnxruntime", "m.onnx")
    # No child could be started any more, and none is.
    monkeypatch.setattr("sys.executable", "/nowhere")
    first_use.check_first_run(content, "onnxruntime", "m.onnx")


def test_the_shipped_networks_are_known_and_need_no_child(monkeypatch: pytest.MonkeyPatch) -> None:
    from tinydf_runtime.models.shipped import DEFAULT_MODEL

    monkeypatch.setattr("sys.executable", "/nowhere")
    assert load_engine(DEFAULT_MODEL).spec.name == "tinydf"
    assert FaceDetector().name == "tinydf-facedetector"


def test_a_stranger_is_named_with_its_hash_in_every_report(
    tiny_classifier: Path, tiny_detector: Path, tmp_path: Path, write_video: Callable[..., Path]
) -> None:
    path = write_video([np.full((120, 160, 3), 60, np.uint8)] * 5)
    out, page = tmp_path / "r.json", tmp_path / "r.html"
    command = [str(path), "--engine", str(tiny_classifier), "--detector", str(tiny_detector)]
    done = CliRunner().invoke(main, [*command, "--json", str(out), "--report", str(page)])
    report = json.loads(out.read_text())
    for network_ in (report["model"], report["detector"]):
        assert not network_["known"] and network_["sha256"] in done.output and network_["sha256"] in page.read_text()
    own = json.loads((CliRunner().invoke(main, [str(path), "--json", "-"])).output)
    assert own["model"]["known"] and own["detector"]["known"]
    assert "SHA-256" not in CliRunner().invoke(main, [str(path)]).output


def test_metadata_that_is_no_text_is_refused(tiny_classifier: Path, tmp_path: Path) -> None:
    path = tmp_path / "bytes.onnx"
    path.write_bytes(tiny_classifier.read_bytes().replace(b"tiny-green", b"tiny-gr\xff\xfen"))
    with pytest.raises(ModelFileError, match="no UTF-8"):
        open_engine(path)
