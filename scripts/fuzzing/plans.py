"""TensorRT plans that this machine has not built, with whatever their makers wrote into the JSON beside them."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable, Iterator
from functools import cache, partial
from typing import Any

from fuzzing.case import REFUSED, Case, rng_of
from fuzzing.networks import facts, sealed, small
from fuzzing.traced_tensorrt import DEVICE, VERSION
from tinydf_runtime.models.seal import BLANK_SEAL, SEAL_KEY, seal

_BAD: dict[str, tuple[Any, ...]] = {
    "schema": (None, 5, "tinydf.plan/9"),
    "tinydf": (None, 5, [], {}),
    "tinydf.golden": (5, {"a": 1}, [5]),
    "plan_sha256": (None, 5, "0" * 64, []),
    "onnx_sha256": (None, 5, [], "zz"),
    "tensorrt": (None, 5, [], "8.6.1", "99.0", "v" * 100_000, "a\x1b[31m"),
    "device": (None, 5, [], "another GPU", "d" * 100_000),
    "version_compatible": (True, 1, "true", None),
    "dla_core": (-1, 99, "0", 1 << 62, 0.5, True, []),
    "host_code": (True,),
}
_TEXTS = {
    "nothing": b"",
    "null": b"null",
    "list": b"[]",
    "deep": b"[" * 100_000,
    "bytes": b"\xff\xfe\0",
    "half": b'{"schema": ',
}


def cases(seed: int) -> Iterator[Case]:
    """Yields plans with the JSON beside them; not one of them may reach the deserialiser."""
    yield _case("whole", plan, partial(beside, {}))
    for name, values in _BAD.items():
        for number, value in enumerate(values):
            yield _case(f"{name.replace('.', '_')}_{number}", plan, partial(beside, {name: value}))
    for word, text in _TEXTS.items():
        yield _case(f"text_{word}", plan, partial(bytes, text))
    for field, value in {"threshold": 7, "proof": [[[]]] * 50_000, "name": "a\nb"}.items():
        spoilt_facts = facts() | {"precision": "fp16", field: value}
        yield _case(f"spec_{field}", plan, partial(beside, {"tinydf": spoilt_facts}))
    for number in range(10):
        name = f"flipped_{number}"
        spoilt = partial(_flipped, seed, name)
        # Half of them with the hash of what they became: whoever changes a plan can write the JSON anew.
        yield _case(name, spoilt, partial(beside, {}, spoilt if number % 2 else plan))
    yield Case("alone/model.plan", "plan", plan, "plan", REFUSED)
    yield Case(
        "link/model.plan", "plan", bytes, "plan", REFUSED, {"model.plan.json": partial(beside, {})}, link="/dev/zero"
    )
    yield _case("empty", bytes, partial(beside, {}, bytes))


def _case(word: str, make: Callable[[], bytes], beside_it: Callable[[], bytes]) -> Case:
    return Case(f"{word}/model.plan", "plan", make, "plan", REFUSED, {"model.plan.json": beside_it})


@cache
def plan() -> bytes:
    """Returns a plan as the double of TensorRT writes it."""
    values = {
        "version": VERSION,
        "model": base64.b64encode(sealed(small())).decode(),
        "network_flags": 0,
        "flags": [],
        "profile": {"image": [[count, 3, 224, 224] for count in (1, 4, 16)]},
        "device": "GPU",
        "dla_core": -1,
    }
    return json.dumps(values).encode()


def beside(change: dict[str, Any], of: Callable[[], bytes] = plan) -> bytes:
    """Returns the JSON that belongs beside a plan, with entries changed, sealed anew."""
    content = of()
    values = {
        "schema": "tinydf.plan/1",
        SEAL_KEY: BLANK_SEAL,
        "tinydf": facts() | {"precision": "fp16"},
        "tinydf.golden": [],
        "plan_sha256": hashlib.sha256(content).hexdigest(),
        "onnx_sha256": "0" * 64,
        "tensorrt": VERSION,
        "device": DEVICE,
        "version_compatible": False,
        "dla_core": None,
    } | change
    return seal(json.dumps(values, indent=1, sort_keys=True).encode(), content)


def _flipped(seed: int, name: str) -> bytes:
    rng = rng_of(seed, name)
    content = bytearray(plan())
    for _ in range(5):
        content[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
    return bytes(content)
