"""OpenVINO's pairs of files, spoilt."""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Callable, Iterator
from functools import cache, partial
from pathlib import Path
from typing import Any

from fuzzing.case import REFUSED, Case, rng_of
from fuzzing.networks import facts, small, unsealed

_WEIGHTS_KEY = "tinydf.weights"

WRONG_FACTS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("threshold", {"threshold": 7}),
    ("threshold_null", {"threshold": None}),
    ("threshold_nan", {"threshold": float("nan")}),
    ("margin", {"crop": facts()["crop"] | {"margin": -1}}),
    ("side", {"crop": facts()["crop"] | {"side_px": 1 << 40}}),
    ("hash", {"crop_sha256": 5}),
    ("name", {"name": "n" * 5_000_000}),
    ("precision", {"precision": ["fp32"]}),
    ("golden", {"golden_probability": ["x"]}),
    ("unknown", {"unknown": 1}),
    ("temperature", {"temperature": 0}),
    ("ranks", {"real_people": {"people": -1, "ranks": []}}),
)


def cases(seed: int) -> Iterator[Case]:
    """Yields them."""
    yield _pair("whole", partial(graph, {}), weights, (0,))
    for word, change in WRONG_FACTS:
        yield _pair(f"facts_{word}", partial(graph, change), weights)
    for word, (old, new) in _EDITS.items():
        # OpenVINO computes the sides of what lies between input and outputs itself, whatever the file says.
        codes = (0, 6) if word == "side" else REFUSED
        yield _pair(f"edit_{word}", partial(_edited, old, new), weights, codes)
    for word, make in _TEXTS.items():
        yield _pair(f"text_{word}", make, weights)
    for number in range(16):
        name = f"flipped_{number}"
        yield _pair(name, partial(flipped, seed, name, partial(graph, {})), weights, (0, 6))
    for word, spoil in _WEIGHTS.items():
        yield _pair(f"weights_{word}", partial(graph, {}), spoil)
    yield Case("openvino_alone/model.xml", "OpenVINO", partial(graph, {}), "classifier", REFUSED)


def _pair(word: str, make: Callable[[], bytes], beside: Callable[[], bytes], codes: tuple[int, ...] = REFUSED) -> Case:
    return Case(f"openvino_{word}/model.xml", "OpenVINO", make, "classifier", codes, {"model.bin": beside})


@cache
def _converted() -> tuple[str, bytes]:
    """Returns the small classifier as OpenVINO writes it."""
    from tinydf_runtime.engines.quiet_openvino import openvino

    with tempfile.TemporaryDirectory() as folder:
        onnx_file, xml = Path(folder, "a.onnx"), Path(folder, "a.xml")
        # OpenVINO takes an ONNX file's own facts along, and its seal with them.
        onnx_file.write_bytes(unsealed(small(metadata={})))
        model = openvino.Core().read_model(onnx_file)
        openvino.serialize(model, xml, xml.with_suffix(".bin"))
        digest = hashlib.sha256(xml.with_suffix(".bin").read_bytes()).hexdigest()
        model.set_rt_info("THE-FACTS", ["tinydf"])
        model.set_rt_info(digest, [_WEIGHTS_KEY])
        openvino.serialize(model, xml, xml.with_suffix(".bin"))
        return xml.read_text(), xml.with_suffix(".bin").read_bytes()


def weights() -> bytes:
    """Returns the ``.bin`` file."""
    return _converted()[1]


def graph(change: dict[str, Any]) -> bytes:
    """Returns the ``.xml`` file, which says this about itself."""
    text = json.dumps(facts() | change).replace("&", "&amp;").replace('"', "&quot;").replace("<", "&lt;")
    return _converted()[0].replace("THE-FACTS", text).encode()


_EDITS = {
    "version": ('version="11"', 'version="99"'),
    "layer": ('type="ReduceMean"', 'type="ReduceMeen"'),
    "element": ('element_type="u8"', 'element_type="u99"'),
    "shape": ("224", "225"),
    "side": ("<dim>14</dim>", "<dim>99999999999</dim>"),
    "negative": ("<dim>3</dim>", "<dim>-3</dim>"),
    "offset": ('offset="0"', 'offset="99999999999"'),
    "offset_negative": ('offset="4"', 'offset="-4"'),
    "size": ('size="4"', 'size="4611686018427387904"'),
    "edges": ("<edges>", '<edges><edge from-layer="0" from-port="0" to-layer="0" to-port="0"/>'),
    "output": ("fake_probability", "real_probability"),
    "input": ('"image"', '"picture"'),
    "opset": ('version="opset1"', 'version="extension"'),
    "kernel": ("16, 16", "0, 0"),
    "hash": (_WEIGHTS_KEY, "tinydf.other"),
    "underscore": ('offset="0"', 'offset="0_0"'),
    "other_name": ('element_type="f32"', 'element_type="FP32"'),
    "memory": ('type="ReduceMean"', 'type="ReadValue"'),
}


def _edited(old: str, new: str) -> bytes:
    text = graph({}).decode()
    assert old in text, f"no {old}"
    return text.replace(old, new).encode()


def _laughs() -> bytes:
    entities = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 12))
    return f'<?xml version="1.0"?><!DOCTYPE net [<!ENTITY l0 "ha">{entities}]><net version="11">&l11;</net>'.encode()


_TEXTS: dict[str, Callable[[], bytes]] = {
    "empty": bytes,
    "zeros": partial(bytes, 4000),
    "no_xml": lambda: b"a line of text",
    "laughs": _laughs,
    "entity": lambda: (
        b'<?xml version="1.0"?><!DOCTYPE net [<!ENTITY x SYSTEM "file:///etc/passwd">]><net version="11">&x;</net>'
    ),
    "deep": lambda: b"<net>" * 100_000,
    "half": lambda: graph({})[:3000],
    "attributes": lambda: b'<net version="11" ' + b" ".join(b'a%d="1"' % n for n in range(200_000)) + b"/>",
}

_WEIGHTS: dict[str, Callable[[], bytes]] = {
    "empty": bytes,
    "half": lambda: weights()[: len(weights()) // 2],
    "longer": lambda: weights() + bytes(1000),
    "other": lambda: bytes(byte ^ 1 for byte in weights()),
}


def flipped(seed: int, name: str, make: Callable[[], bytes]) -> bytes:
    """Returns a file with some bits turned over."""
    rng = rng_of(seed, name)
    content = bytearray(make())
    for _ in range(rng.choice([1, 4, 30])):
        content[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
    return bytes(content)
