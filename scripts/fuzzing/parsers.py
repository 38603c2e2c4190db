"""The parsers of our own by name, and little files that get each of them going."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from fuzzing import bases, networks, plans, tables
from fuzzing import model_parser_calls as model_call
from fuzzing import parser_calls as call
from fuzzing.media_headers import gif, png, tiff, webp
from tinydf_runtime.io.containers.ends import ASF_FILE_PROPERTIES, ASF_START, MXF_START
from tinydf_runtime.models.seal import seal
from tinydf_runtime.models.shipped import DEFAULT_MODEL
from tinydf_runtime.models.spec import ModelSpec


def _spec_text() -> bytes:
    return ModelSpec("fuzzed", golden_probability=(0.5,), fpr_thresholds=((0.1, 0.7),)).to_json().encode()


def _addresses() -> list[bytes]:
    return [
        b"rtsp://admin:p@ss@cam:554/live?channel=1#x",
        b"http://[::1]:80/;p=1?a=b&c",
        b"0",
        b"rtsp:/x@y",
        b"C:\\a@b",
    ]


def _sealed() -> bytes:
    return seal(b'{"tinydf.seal": "tinydf-sha256:' + b"0" * 64 + b'"}')


_IR = (
    b'<?xml version="1.0"?><net name="a" version="11"><layers><layer id="0" name="image" type="Parameter" '
    b'version="opset1"><data shape="?,3,8,8" element_type="u8"/><output><port id="0" precision="U8">'
    b'<dim>-1</dim><dim>3</dim></port></output></layer><layer id="1" name="c" type="Const" version="opset1">'
    b'<data element_type="f32" shape="1" offset="0" size="4"/></layer></layers><edges/><rt_info/></net>'
)
_LITTLE_TABLE = {"ranges": {"a": [0, 1]}, "float_layers": [], "channel_scales": {}, "bias_shifts": {}, "measured": {}}

PARSERS: dict[str, tuple[Callable[[bytes], None], Callable[[], list[bytes]]]] = {
    "container": (
        call.container,
        lambda: [bases.whole(name)[:3000] for name in ("h264.mp4", "h264.mkv", "h264.ts", "gif.gif", "h264.h264")],
    ),
    "mp4_boxes": (
        call.mp4_boxes,
        lambda: [bases.whole("h264.mp4")[-1200:], _samples("h264.mp4"), _samples("hevc.mp4")],
    ),
    "matroska_elements": (
        call.matroska_elements,
        lambda: [bases.whole(name)[:900] for name in ("vp8.webm", "ffv1.mkv")],
    ),
    "gif_blocks": (call.gif_blocks, lambda: [gif(4, 4, 3), bases.whole("photo.gif")[:900]]),
    "file_ends": (
        call.file_ends,
        lambda: [
            bases.whole("vp9.ivf")[:300],
            b"YUV4MPEG2 W4 H4 F25:1 C420jpeg\nFRAME\n" + bytes(24),
            ASF_START + bytes(14) + ASF_FILE_PROPERTIES + bytes(80),
            MXF_START + bytes.fromhex("020400830000580001000200000001") + bytes(80),
        ],
    ),
    "h264_headers": (call.h264_headers, lambda: [bases.whole("h264.h264")[:120], _samples("h264_interlaced.mp4")]),
    "track_tables": (
        call.track_tables,
        lambda: [bases.whole(name)[:1500] for name in ("vp8.ogv", "h264.avi", "h264.ts", "mpeg2.mpg")],
    ),
    "key_frames": (
        call.key_frames,
        lambda: [bases.whole(name)[:300] for name in ("vp9.ivf", "h264.h264", "photo.jpg", "mpeg2.mpg")],
    ),
    "jpeg_segments": (call.jpeg_segments, lambda: [bases.whole("photo.jpg")[:700], bases.whole("mjpeg.mjpeg")[:700]]),
    "avif_items": (call.avif_items, lambda: [bases.whole("photo.avif")[:500]]),
    "further_pictures": (
        call.further_pictures,
        lambda: [png(4, 4) * 2, b"P6 4 4 255\n", b"P7\nWIDTH 2\nHEIGHT 2\nDEPTH 3\nMAXVAL 255\nENDHDR\n", b"P1 1 1 1"],
    ),
    "first_bytes": (
        call.first_bytes,
        lambda: [png(4, 4), webp(4, 4), tiff(4, 4), b"#EXTM3U\n/etc/passwd\n", b"P6 4 4 255\n"],
    ),
    "credentials": (
        call.credentials,
        lambda: [bases.whole("photo.jpg")[:200], png(4, 4), gif(4, 4), webp(4, 4), _samples("h264.mp4")],
    ),
    "address": (call.address, _addresses),
    "names": (
        call.names,
        lambda: [b"a.mp4", b"=1+1.mp4", b"\xff\xfe.mp4", "\u202egpj.exe".encode(), b"*.mp4", b"[a", b"\x1b[31m"],
    ),
    "spec": (model_call.spec, lambda: [_spec_text(), json.dumps({"schema": "tinydf.model/1"}).encode()]),
    "seals": (model_call.seals, lambda: [_sealed(), DEFAULT_MODEL.read_bytes()[-400:]]),
    "onnx_wire": (
        model_call.onnx_wire,
        lambda: [networks.sealed(networks.small())],
    ),
    "openvino_graph": (model_call.openvino_graph, lambda: [_IR, b'<net version="11"/>']),
    "strict_json": (model_call.strict_json, lambda: [b'{"a": [1, 2.5, null, true, "x"]}', b"[[[1e5]]]", b"-0.0"]),
    "plan_facts": (model_call.plan_facts, lambda: [plans.beside({})]),
    "table": (model_call.table, lambda: [tables.changed(_LITTLE_TABLE)]),
    "golden_crops": (model_call.golden_crops, lambda: [b'["AAAA"]', b"[]"]),
}
"""Name -> parser, and files that get it going."""


def _samples(name: str) -> bytes:
    import tinydf_runtime.io

    return Path(tinydf_runtime.io.__file__).with_name("samples").joinpath(name).read_bytes()
