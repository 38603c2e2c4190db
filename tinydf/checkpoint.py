"""A trained network in one file: weights as safetensors, training configuration and ModelSpec as JSON in its header."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from warnings import catch_warnings, simplefilter
from zipfile import ZipFile

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from tinydf.baselines import NETWORKS, build_network
from tinydf.forgery import TinyDF
from tinydf_runtime.errors import ModelFileError, UnreadableInputError, UsageError, one_line
from tinydf_runtime.io.files import exists, is_regular, sha256_of, write_atomically
from tinydf_runtime.models.spec import METADATA_KEY, ModelSpec
from tinydf_runtime.trust import strict

CONFIG_KEY = "training"
MOST_BYTES = 1 << 30
MOST_CONFIG = 4 << 20
WIDTHS = (0.05, 8.0)
"""Range of the width, a multiple of the shipped network's channels."""
DEFAULT_PATH = Path(__file__).parent / "weights" / "tinydf.safetensors"


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A trained network.

    Attributes:
        state: Parameters and buffers by name, float32.
        config: How it was trained; plain JSON values.
        spec: Metadata that every export carries.
    """

    state: Mapping[str, Tensor]
    config: Mapping[str, Any]
    spec: ModelSpec

    @property
    def width(self) -> float:
        """Channels as a multiple of the shipped network's."""
        return float(self.config.get("width", 1.0))

    @property
    def network(self) -> str:
        """Its name in ``NETWORKS``."""
        return str(self.config.get("network", "tinydf"))

    def build(self) -> TinyDF:
        """Returns TinyDF in evaluation mode.

        Raises:
            UsageError: It is another network, for comparison alone.
        """
        model = self.build_network()
        if not isinstance(model, TinyDF):
            raise UsageError(f"checkpoint: is of the network {self.network}; only tinydf-evaluate measures it.")
        return model

    def build_network(self) -> nn.Module:
        """Returns the network in evaluation mode, whichever it is."""
        model = _empty_network(self.network, self.width)
        model.load_state_dict(dict(self.state))
        return model.eval()


def save_checkpoint(checkpoint: Checkpoint, path: Path, *, half: bool = False) -> None:
    """Writes a checkpoint, whole or not at all. Equal checkpoints give equal bytes.

    Args:
        checkpoint: What to write.
        path: Ends in .safetensors.
        half: Stores the weights of convolutions and splines as float16, half the size; the statistics and gains that
            scale them stay float32.

    Raises:
        OutputError: The file cannot be written.
    """
    tensors = {
        name: (value.half() if half and value.ndim > 1 else value).contiguous()
        for name, value in checkpoint.state.items()
    }
    metadata = {
        METADATA_KEY: checkpoint.spec.to_json(),
        CONFIG_KEY: json.dumps(dict(checkpoint.config), sort_keys=True),
    }
    write_atomically(path, _sort_metadata(save(tensors, metadata)))


def load_checkpoint(path: Path) -> Checkpoint:
    """Reads a ``.safetensors`` checkpoint, or the EMA weights of a training state (``.pt``, weights_only).

    Raises:
        UnreadableInputError: There is no such file.
        ModelFileError: It is no file, damaged, or its tensors are not those of this network.
    """
    if not exists(path):
        raise UnreadableInputError(f"{path}: no such file. Expected a checkpoint that tinydf-train wrote.")
    if not is_regular(path):
        raise ModelFileError(f"{path}: is no regular file. Expected a checkpoint that tinydf-train wrote.")
    if path.stat().st_size > MOST_BYTES:
        raise ModelFileError(
            f"{path}: {path.stat().st_size:,} bytes, expected at most {MOST_BYTES:,}. It is no TinyDF checkpoint."
        )
    state, config, spec = _read_pt(path) if path.suffix == ".pt" else _read_safetensors(path)
    checkpoint = Checkpoint(state, config, replace(spec, checkpoint_sha256=sha256_of(path)))
    _check_state(checkpoint, path)
    return checkpoint


def load_default() -> Checkpoint:
    """Reads the checkpoint that is shipped with TinyDF."""
    return load_checkpoint(DEFAULT_PATH)


def _sort_metadata(content: bytes) -> bytes:
    """Returns a safetensors file with its metadata in order of keys; the library writes it in a random one.

    Source of the format: https://github.com/huggingface/safetensors#format.
    """
    size = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + size])
    header["__metadata__"] = dict(sorted(header["__metadata__"].items()))
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    # Tensors start at a multiple of 8 bytes.
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text + content[8 + size :]


def _read_safetensors(path: Path) -> tuple[dict[str, Tensor], dict[str, Any], ModelSpec]:
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a mapping
        config = _read_config(metadata[CONFIG_KEY])
        spec = ModelSpec.from_json(metadata[METADATA_KEY], path.name)
    except ModelFileError:
        raise
    # safetensors raises more than its own error for headers that fit no type.
    except (SafetensorError, LookupError, ValueError, TypeError, AttributeError, RuntimeError, OSError) as error:
        raise ModelFileError(
            f"{path}: is no TinyDF checkpoint ({one_line(error, 200)}). Train or download it again."
        ) from error
    return {name: value.float() if value.is_floating_point() else value for name, value in state.items()}, config, spec


def _read_pt(path: Path) -> tuple[dict[str, Tensor], dict[str, Any], ModelSpec]:
    try:
        # What is packed into a megabyte may unpack to a terabyte.
        with ZipFile(path) as archive:
            size = sum(entry.file_size for entry in archive.infolist())
        if size > MOST_BYTES:
            raise ModelFileError(f"{path}: holds {size:,} bytes, expected at most {MOST_BYTES:,}.")
        # weights_only: a pickle may run code, tensors and plain values may not. It warns of pickles that are unusual.
        with catch_warnings():
            simplefilter("ignore")
            values = torch.load(path, map_location="cpu", weights_only=True)
        if not isinstance(values, dict):
            raise ModelFileError(f"{path}: is no TinyDF training state (holds a {type(values).__name__}).")
        state = values["ema"]
        if not all(isinstance(name, str) and isinstance(value, Tensor) for name, value in state.items()):
            raise ModelFileError(f"{path}: is no TinyDF training state (ema holds more than tensors).")
        return dict(state), _read_config(values["config"]), ModelSpec.from_json(values["spec"], path.name)
    except ModelFileError:
        raise
    # A damaged archive or pickle raises almost anything.
    except Exception as error:
        raise ModelFileError(f"{path}: is no TinyDF training state ({one_line(error, 200)}).") from error


def _read_config(text: object) -> dict[str, Any]:
    """Returns the training configuration, with the values that the network is built by checked.

    Raises:
        strict.StrictError: It is anything else.
    """
    if not isinstance(text, str):
        raise strict.StrictError(f"training: {strict.brief(text)}, expected JSON")
    config: dict[str, Any] = strict.plain(strict.mapping(strict.parse(text, MOST_CONFIG), 1000))
    network = config.get("network", "tinydf")
    if network not in NETWORKS:
        raise strict.StrictError(f"network {strict.brief(network)}, expected one of {', '.join(NETWORKS)}")
    strict.finite(config.get("width", 1.0), *WIDTHS)
    return config


def _empty_network(name: str, width: float) -> nn.Module:
    return TinyDF(width) if name == "tinydf" else build_network(name)


def can_be_computed_with(name: str, value: torch.Tensor) -> bool:
    """Returns whether a tensor of a network holds finite numbers alone; a variance, none below 0 either."""
    return bool(torch.isfinite(value).all()) and not (name.endswith("running_var") and bool((value < 0).any()))


def _check_state(checkpoint: Checkpoint, path: Path) -> None:
    state = checkpoint.state
    with torch.device("meta"):
        expected = _empty_network(checkpoint.network, checkpoint.width).state_dict()
    for name, value in expected.items():
        if name not in state or state[name].shape != value.shape:
            found = tuple(state[name].shape) if name in state else "nothing"
            raise ModelFileError(
                f"{path}: {name}: found {found}, expected {tuple(value.shape)}. It is another network."
            )
        if state[name].is_floating_point() != value.is_floating_point():
            raise ModelFileError(f"{path}: {name}: found {state[name].dtype}, expected {value.dtype}. It is damaged.")
        if not can_be_computed_with(name, state[name]):
            raise ModelFileError(
                f"{path}: {name}: holds what is no finite number, or a variance below 0. It is damaged; train it again."
            )
    unknown = sorted(set(state) - set(expected))
    if unknown:
        raise ModelFileError(f"{path}: unknown tensor {unknown[0]}. It is another network.")
