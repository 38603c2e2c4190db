"""A Core ML program -> the files of an ``.mlpackage`` folder, the same bytes for the same program."""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
import secrets
import shutil
import uuid
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tinydf_runtime.engines.coreml_package import DESCRIPTION, MANIFEST, WEIGHTS, coremltools
from tinydf_runtime.errors import OutputError
from tinydf_runtime.io.files import temporary_folder
from tinydf_runtime.models.seal import SEAL_KEY, seal

_FOLDER = Path("Data")


@dataclass(frozen=True, slots=True)
class Package:
    """A model that is ready to be written.

    Attributes:
        description: Core ML's message: inputs, outputs, metadata, program.
        weights: Content of the weight file that the program refers to.
    """

    description: Any
    weights: bytes


def convert_program(program: Any, side_px: int, target: Any) -> Package:
    """Turns a program into Core ML's format.

    The one input, ``image``, is a picture: RGB, 8 bit, as a camera or a decoder gives it. Core ML knows no other input
    of 8 bit, and runs batches as lists of pictures.

    Args:
        program: MIL program with the input ``image``, 1 x 3 x side_px x side_px.
        side_px: Side of the picture.
        target: The oldest system that must run it, as coremltools names it.
    """
    with contextlib.redirect_stderr(io.StringIO()), warnings.catch_warnings():
        # The converter draws its progress on stderr, and leaves its folder to the garbage collector.
        warnings.simplefilter("ignore", ResourceWarning)
        model = coremltools.convert(
            program,
            convert_to="mlprogram",
            inputs=[
                coremltools.ImageType(
                    name="image", shape=(1, 3, side_px, side_px), color_layout=coremltools.colorlayout.RGB
                )
            ],
            minimum_deployment_target=target,
            # The program is typed already.
            compute_precision=coremltools.precision.FLOAT32,
            pass_pipeline=coremltools.PassPipeline.EMPTY,
            skip_model_load=True,
        )
    weights = Path(model.weights_dir) / WEIGHTS.name
    package = Package(model.get_spec(), weights.read_bytes() if weights.exists() else b"")
    # The converter's own remarks hold the date.
    package.description.description.metadata.Clear()
    return package


def describe(package: Package, metadata: Mapping[str, str]) -> Package:
    """Returns a package with what people and our own engine read about it.

    Args:
        package: As ``convert_program`` made it.
        metadata: TinyDF's entries.
    """
    described = type(package.description)()
    described.CopyFrom(package.description)
    about = described.description
    about.metadata.shortDescription = "TinyDF: is this face forged?"
    about.metadata.license = "Apache-2.0"
    about.metadata.userDefined.update(metadata)
    words = {
        "image": "Upright face crop, RGB",
        "fake_probability": "Probability that the face is forged",
        "forgery_map": "The same for each cell of the crop, 1 x h x w",
    }
    for value in (*about.input, *about.output):
        value.shortDescription = words.get(value.name, "")
    return Package(described, package.weights)


def write_package(package: Package, out: Path) -> int:
    """Writes a package whole or not at all, in place of an older one.

    Returns:
        Size of its files in bytes.

    Raises:
        OutputError: The system refused, for example because the disk is full.
    """
    target = out.resolve()
    files = _files(package)
    # Killed between the two renames, this process leaves the older package under this name, which nobody clears away.
    replaced = target.with_name(f".{secrets.token_hex(8)}.old")
    try:
        with temporary_folder(target) as temporary:
            for name, content in files.items():
                _write_synced(temporary / name, content)
            if target.exists():
                # A folder cannot be renamed onto another one that holds files.
                target.rename(replaced)
            try:
                temporary.rename(target)
            except BaseException:
                if replaced.exists():
                    replaced.rename(target)
                raise
            finally:
                _remove(replaced)
    except OSError as error:
        raise OutputError(
            f"{out}: could not be written ({error.strerror or error}). Check folder, permissions and free space."
        ) from error
    return sum(len(content) for content in files.values())


def _files(package: Package) -> dict[Path, bytes]:
    description = package.description.SerializeToString(deterministic=True)
    digest = hashlib.sha256(description + package.weights).hexdigest()
    entries = {}
    for path, words in ((DESCRIPTION, "Specification"), (WEIGHTS.parent, "Weights")):
        entries[str(uuid.uuid5(uuid.NAMESPACE_OID, f"{digest} {path.name}"))] = {
            "author": "com.apple.CoreML",
            "description": f"CoreML Model {words}",
            "name": path.name,
            "path": path.relative_to(_FOLDER).as_posix(),
        }
    root = next(iter(entries))
    manifest = {"fileFormatVersion": "1.0.0", "itemInfoEntries": entries, "rootModelIdentifier": root}
    about = json.dumps(manifest, indent=4).encode()
    if SEAL_KEY in package.description.description.metadata.userDefined:
        description = seal(description, package.weights, about)
    return {MANIFEST: about, DESCRIPTION: description, WEIGHTS: package.weights}


def _write_synced(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("xb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
