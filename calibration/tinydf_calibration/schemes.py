"""Q/DQ schemes: where each engine wants quantise and dequantise nodes in an ONNX graph."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class QDQScheme:
    """Where quantize/dequantize pairs stand, and how they round.

    Weights are signed, symmetric and have one scale per output channel, the same in all of them.

    Attributes:
        name: Key in ``QDQ_SCHEMES``.
        unsigned: Activations are 0..255 with a zero point of their own; else -127..127 around 0.
        centred: Of unsigned activations, those that go below 0 are -127..127 too, so that every zero point is 0.
        operators: ONNX operators that compute in 8 bit.
        writes_outputs: What a quantised operator makes is quantised again at once, so that the engine fuses the
            operator with both ends; else only what it takes is.
        quantizes_bias: A convolution's bias is stored as int32 in units of input scale times weight scale.
        absorbs_clip: A clip behind a quantised operator goes, since the output's range clips just as well.
        float_first: Convolutions on maps that have fewer than so many before them stay in float.
        quantizes_pooled: Convolutions of pooled values compute in 8 bit wherever their input comes from; else only
            where it comes out of 8 bit already.
        half_scales: An activation's scale is one that float16 holds too, so that pairs can be typed so without moving
            a value.
    """

    name: str
    unsigned: bool
    operators: frozenset[str]
    writes_outputs: bool
    quantizes_bias: bool
    absorbs_clip: bool
    float_first: int = 0
    half_scales: bool = False
    centred: bool = False
    quantizes_pooled: bool = False


_FUSED = frozenset({"Conv", "Add", "Mul", "Concat", "Sigmoid", "GlobalAveragePool"})

QDQ_SCHEMES: dict[str, QDQScheme] = {
    # Measured: the first convolutions have few channels, and their 8-bit kernels are slower by 5 % of the whole.
    "onnxruntime": QDQScheme(
        "onnxruntime", True, _FUSED, writes_outputs=True, quantizes_bias=True, absorbs_clip=True, float_first=3
    ),
    # Measured: zero points leave subtractions behind, all signed is slower by a tenth, other operators gain nothing,
    # gates gain a fourteenth.
    "openvino": QDQScheme(
        "openvino",
        True,
        frozenset({"Conv"}),
        writes_outputs=False,
        quantizes_bias=False,
        absorbs_clip=False,
        centred=True,
        quantizes_pooled=True,
    ),
    "tensorrt": QDQScheme(
        "tensorrt",
        False,
        frozenset({"Conv", "Add"}),
        writes_outputs=False,
        quantizes_bias=False,
        absorbs_clip=False,
        half_scales=True,
    ),
    "coreml": QDQScheme(
        "coreml", False, frozenset({"Conv", "Add"}), writes_outputs=False, quantizes_bias=False, absorbs_clip=False
    ),
}
"""By the name of the engine that is fast with it."""
