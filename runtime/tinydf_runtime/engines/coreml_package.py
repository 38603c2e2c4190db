"""An ``.mlpackage`` folder -> its files, description and metadata, on any machine."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

_logger = logging.getLogger("coremltools")
_level = _logger.level
# On import it warns of each library that it was not tested with, and off macOS of what only macOS has.
_logger.setLevel(logging.CRITICAL)
import coremltools  # noqa: E402
from coremltools.proto import Model_pb2  # noqa: E402
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]  # noqa: E402

from tinydf_runtime.errors import ModelFileError  # noqa: E402
from tinydf_runtime.models.spec import GOLDEN_KEY, METADATA_KEY, ModelSpec  # noqa: E402
from tinydf_runtime.trust.reading import DESCRIPTION, MANIFEST, WEIGHTS, read_model_file  # noqa: E402

_logger.setLevel(_level)

__all__ = ["DESCRIPTION", "MANIFEST", "WEIGHTS", "check_signature", "coremltools", "read_description"]


def read_description(path: Path) -> Any:
    """Returns the model of a package as a protobuf message: inputs, outputs, metadata, program, but no large weights.

    Raises:
        ModelFileError: The folder is missing, damaged or no Core ML package.
    """
    model = Model_pb2.Model()
    try:
        model.ParseFromString(read_model_file(path / DESCRIPTION))
    except DecodeError as error:
        raise ModelFileError(f"{path.name}: cannot be read as Core ML ({error}). Export it again.") from error
    return model


def check_signature(model: Any, source: str) -> tuple[ModelSpec, str | None, tuple[int, int]]:
    """Accepts a model that is one of our classifiers.

    Args:
        model: As ``read_description`` returns it.
        source: Its name, for error messages.

    Returns:
        Its spec, the golden crops as text, and the height and width of its forgery map.

    Raises:
        ModelFileError: It has other inputs or outputs, or no spec.
    """
    metadata = dict(model.description.metadata.userDefined)
    if METADATA_KEY not in metadata:
        raise ModelFileError(f"{source}: no TinyDF metadata found. Make the file with tinydf-export.")
    spec = ModelSpec.from_json(metadata[METADATA_KEY], source)
    side_px = spec.crop.side_px
    rgb = coremltools.proto.FeatureTypes_pb2.ImageFeatureType.RGB
    inputs = {value.name: value.type.imageType for value in model.description.input}
    outputs = {value.name: list(value.type.multiArrayType.shape) for value in model.description.output}
    image = inputs.get("image")
    map_shape = outputs.get("forgery_map", [])
    if (
        len(inputs) != 1
        or image is None
        or (image.height, image.width, image.colorSpace) != (side_px, side_px, rgb)
        or "fake_probability" not in outputs
        or len(map_shape) != 3
    ):
        raise ModelFileError(
            f"{source}: found inputs {list(inputs)} and outputs {outputs}, expected one RGB picture image of "
            f"{side_px} x {side_px}, fake_probability and forgery_map: 1 x h x w. Export it again."
        )
    return spec, metadata.get(GOLDEN_KEY), (int(map_shape[1]), int(map_shape[2]))
