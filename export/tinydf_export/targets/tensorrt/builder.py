"""ONNX bytes -> TensorRT plan, with the library that is installed: version 10 or 11, or 8.6 as far as it goes."""

from __future__ import annotations

import tensorrt

from tinydf_export.targets.tensorrt.options import PlanOptions
from tinydf_runtime.engines.tensorrt_engine import TensorRTLog
from tinydf_runtime.errors import ModelFileError, UnavailableError, UsageError
from tinydf_runtime.models.spec import Precision

INPUT = "image"


def build_plan(
    model: bytes, precision: Precision, options: PlanOptions, timing_cache: bytes = b""
) -> tuple[bytes, bytes]:
    """Builds a plan for the GPU of this machine.

    The types in the model are kept: what is float16 or quantised there is so in the plan, and float32 stays float32,
    without the shorter TF32. Kernels are chosen by timing them, so two builds differ unless they share a timing cache.

    Args:
        model: Serialized ONNX model with one input ``image``.
        precision: The shortest numbers that the model holds.
        options: What to build.
        timing_cache: What an earlier build returned, to save its time; one of another TensorRT or GPU is ignored.

    Returns:
        The plan, and the timing cache for a next build.

    Raises:
        UsageError: ``max_batch`` is below 1, or there is no such accelerator.
        ModelFileError: This version of TensorRT cannot read the model.
        UnavailableError: The plan cannot be built here.
    """
    if options.max_batch < 1:
        raise UsageError(f"batch: found {options.max_batch} at most, expected 1 or more.")
    log = TensorRTLog()
    try:
        builder = tensorrt.Builder(log)
    # The bindings return no object where CUDA does not start, and pybind11 calls that a type error.
    except TypeError as error:
        raise UnavailableError(
            f"tensorrt: cannot start ({log.reason()}). Building a plan needs an NVIDIA GPU and its driver."
        ) from error
    network = builder.create_network(_network_flags())
    _parse(network, model, log)
    config = builder.create_builder_config()
    _configure(builder, config, network, options, precision)
    cache = config.create_timing_cache(timing_cache)
    if not config.set_timing_cache(cache, False):
        cache = config.create_timing_cache(b"")
        config.set_timing_cache(cache, False)
    plan = builder.build_serialized_network(network, config)
    if plan is None:
        raise UnavailableError(f"tensorrt {tensorrt.__version__}: cannot build the plan ({log.reason()}).")
    return bytes(plan), bytes(config.get_timing_cache().serialize())


def _major() -> int:
    """Returns the first number of the library's version."""
    return int(tensorrt.__version__.split(".")[0])


def _network_flags() -> int:
    """Returns how networks are made: with the types of the model where the library can, always with explicit batch."""
    flag = tensorrt.NetworkDefinitionCreationFlag
    if _major() < 10:
        return 1 << int(flag.EXPLICIT_BATCH)
    # Version 11 knows strongly typed networks only, and calls the flag deprecated.
    return 1 << int(flag.STRONGLY_TYPED) if _major() == 10 else 0


def _parse(network: tensorrt.INetworkDefinition, model: bytes, log: TensorRTLog) -> None:
    """Fills a network.

    Raises:
        ModelFileError: The parser found an operator or type that it does not take, or another input.
    """
    parser = tensorrt.OnnxParser(network, log)
    if not parser.parse(model):
        found = "; ".join(" ".join(parser.get_error(index).desc().split()) for index in range(parser.num_errors))
        raise ModelFileError(
            f"model: TensorRT {tensorrt.__version__} cannot read it ({found[:300]}). Export it again with --target "
            "tensorrt, or use TensorRT 10 or 11."
        )
    inputs = [network.get_input(index).name for index in range(network.num_inputs)]
    if inputs != [INPUT]:
        raise ModelFileError(f"model: found inputs {inputs}, expected {INPUT} alone. Export it with tinydf-export.")


def _configure(
    builder: tensorrt.Builder,
    config: tensorrt.IBuilderConfig,
    network: tensorrt.INetworkDefinition,
    options: PlanOptions,
    precision: Precision,
) -> None:
    """Sets flags, device and the batches to be ready for.

    Raises:
        UsageError: There is no such accelerator.
    """
    flag = tensorrt.BuilderFlag
    config.clear_flag(flag.TF32)
    if _major() < 10:
        # It has no strong typing: short types that the model names are used only where flags allow them.
        if precision != "fp32":
            config.set_flag(flag.FP16)
        if precision == "int8":
            config.set_flag(flag.INT8)
    if options.version_compatible:
        config.set_flag(flag.VERSION_COMPATIBLE)
    smallest = usual = 1
    if options.dla_core is not None:
        if options.dla_core not in range(builder.num_DLA_cores):
            raise UsageError(
                f"dla core: found {options.dla_core}, expected one of the {builder.num_DLA_cores} that TensorRT "
                f"{tensorrt.__version__} sees on this device. Build for the GPU, or see NVIDIA's support matrix."
            )
        config.default_device_type = tensorrt.DeviceType.DLA
        config.DLA_core = options.dla_core
        config.set_flag(flag.GPU_FALLBACK)
        # The accelerator computes one number of crops only.
        smallest = usual = options.max_batch
    crop = tuple(network.get_input(0).shape)[1:]
    profile = builder.create_optimization_profile()
    profile.set_shape(INPUT, (smallest, *crop), (usual, *crop), (options.max_batch, *crop))
    config.add_optimization_profile(profile)
