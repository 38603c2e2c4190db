"""A double of TensorRT's and CUDA's Python bindings: the names that the real ones have, and no GPU behind them.

Which names a version has, and what their calls take, is recorded in ``tensorrt_names.json`` by
``scripts/tensorrt_stubs.py`` from the bindings that NVIDIA publishes. What is used here and not recorded there, or with
other arguments, fails, so code that would fail on the device fails in a test.
A plan holds the model and what it was built with; running it runs the model in ONNX Runtime.
"""

from __future__ import annotations

import ast
import base64
import ctypes
import functools
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum, IntEnum
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import onnxruntime

NAMES: dict[str, dict[str, Any]] = json.loads(Path(__file__).with_name("tensorrt_names.json").read_text())
VERSIONS = tuple(sorted(NAMES))
DLA_CORES = 2


class _Recorded:
    """An object that has the recorded names of its class, and no others."""

    _names: frozenset[str] = frozenset()

    def __setattr__(self, name: str, value: object) -> None:
        if not name.startswith("_") and name not in self._names:
            raise AttributeError(f"{type(self).__name__} has no {name} in this version")
        object.__setattr__(self, name, value)


def hold_to_signatures(name: str, method: Callable[..., Any], signatures: list[str]) -> Callable[..., Any]:
    """Returns the method with a check that each call fits one of the recorded signatures, by number, name and type."""

    @functools.wraps(method)
    def checked(self: Any, *arguments: Any, **named: Any) -> Any:
        fits = [text for text in signatures if takes(text, arguments, named)]
        assert fits, f"{name}{arguments}{named}: does not fit {signatures}, which this version has"
        return method(self, *arguments, **named)

    return checked


def takes(signature: str, arguments: tuple[Any, ...], named: dict[str, Any]) -> bool:
    """Whether a recorded signature, such as ``(flag: BuilderFlag) -> None``, takes these arguments."""
    function = ast.parse(f"def f{signature}: ...").body[0]
    assert isinstance(function, ast.FunctionDef)
    parameters = function.args.args
    if function.args.vararg is not None:
        return True
    names = [one.arg for one in parameters]
    given = {**dict(zip(names, arguments, strict=False)), **named}
    required = set(names[: len(names) - len(function.args.defaults)])
    if (
        len(arguments) > len(names)
        or set(named) & set(names[: len(arguments)])
        or not required <= set(given) <= set(names)
    ):
        return False
    return all(one.arg not in given or is_of(given[one.arg], one.annotation) for one in parameters)


_PLAIN: dict[str, tuple[type, ...]] = {
    "int": (int,),
    "SupportsInt": (int,),
    "bool": (bool,),
    "str": (str,),
    "buffer": (bytes,),
    "Buffer": (bytes,),
    "tuple": (tuple,),
    "list": (list,),
}


def is_of(value: Any, annotation: ast.expr | None) -> bool:
    """Whether pybind11 takes a value for a parameter; an enumeration is no number to it, and a number no bool."""
    if annotation is None:
        return True
    for part in ast.unparse(annotation).split(" | "):
        name = part.split("[")[0].split(".")[-1]
        if name in _PLAIN:
            number = not isinstance(value, bool | IntEnum) or name == "bool"
            if isinstance(value, _PLAIN[name]) and number:
                return True
        elif name in {kind.__name__ for kind in type(value).__mro__}:
            return True
    return False


@dataclass
class Machine:
    """What a test reads and sets.

    Attributes:
        version: Of the library.
        parse_error: What the parser complains about, empty where it takes the model.
        builder_starts: Whether CUDA starts.
        builds: Whether the builder finds kernels.
        accepts_cache: Whether a timing cache that is not empty fits.
        executed: Batch sizes that contexts computed.
        host_code: Whether the last runtime was allowed to run code out of a plan.
        deserialised: Plans that a runtime was given, whatever it made of them.
        devices: What CUDA finds.
        driver_status: What CUDA's calls answer.
        driver_library: Whether the driver's library can be loaded at all.
        memory: Addresses of device memory that is taken.
        streams: Streams that are open.
    """

    version: str
    parse_error: str = ""
    builder_starts: bool = True
    builds: bool = True
    accepts_cache: bool = True
    executed: list[int] = field(default_factory=list)
    host_code: bool = False
    deserialised: list[bytes] = field(default_factory=list)
    devices: int = 1
    driver_status: int = 0
    driver_library: bool = True
    memory: dict[int, Any] = field(default_factory=dict)
    streams: set[int] = field(default_factory=set)


def make_tensorrt(machine: Machine) -> ModuleType:
    """Returns the module ``tensorrt`` of a machine's version."""
    names = NAMES[machine.version]
    module: Any = ModuleType("tensorrt")
    module.__version__ = machine.version

    def enum(name: str) -> Any:
        members = [member for member in names[name]["names"].split() if member not in ("name", "value")]
        return IntEnum(name, {member: index for index, member in enumerate(members)})

    for name in ("BuilderFlag", "DataType", "DeviceType", "NetworkDefinitionCreationFlag"):
        setattr(module, name, enum(name))

    def recorded(kind: type[Any], name: str) -> Any:
        allowed = frozenset(names[name]["names"].split())
        extra = {item for item in vars(kind) if not item.startswith("_")} - allowed
        assert not extra, f"the double's {name} has {extra}, TensorRT {machine.version} has not"
        held = {
            item: hold_to_signatures(f"{name}.{item}", method, names[name]["calls"].get(item, []))
            for item, method in vars(kind).items()
            if callable(method) and (item in names[name]["calls"] or not item.startswith("_"))
        }
        return type(name, (kind, _Recorded), {"_names": allowed} | held)

    class ILogger:
        Severity = enum("Severity")

        def __init__(self) -> None:
            pass

    module.ILogger = ILogger

    class HostMemory(bytes):
        pass

    class Cache:
        def __init__(self, content: bytes) -> None:
            self._content = content

        def serialize(self) -> HostMemory:
            return HostMemory(self._content + b"timed ")

    class Tensor:
        def __init__(self, name: str, shape: tuple[int, ...]) -> None:
            self.name, self.shape = name, shape

    class Network:
        def __init__(self, flags: int) -> None:
            self._flags, self._model = flags, b""
            self._inputs: list[Any] = []
            self.num_inputs = 0

        def get_input(self, index: int) -> Any:
            return self._inputs[index]

    class Parser:
        def __init__(self, network: Any, log: Any) -> None:
            self._network = network
            self.num_errors = 1 if machine.parse_error else 0

        def parse(self, model: bytes) -> bool:
            if machine.parse_error:
                return False
            tensor = recorded(Tensor, "ITensor")
            network = self._network
            network._model = model
            network._inputs = [tensor(i.name, (-1, *i.shape[1:])) for i in _session(model).get_inputs()]
            network.num_inputs = len(network._inputs)
            return True

        def get_error(self, index: int) -> Any:
            return recorded(Error, "ParserError")()

    class Error:
        def desc(self) -> str:
            return machine.parse_error

    class Profile:
        def __init__(self) -> None:
            self._shapes: dict[str, Any] = {}

        def set_shape(self, input: str, min: Any, opt: Any, max: Any) -> None:
            assert all(low <= usual <= high for low, usual, high in zip(min, opt, max, strict=True))
            self._shapes[input] = [list(min), list(opt), list(max)]

    class Config:
        def __init__(self) -> None:
            self._flags, self._profile, self._cache = {module.BuilderFlag.TF32}, None, None
            self.default_device_type, self.DLA_core = module.DeviceType.GPU, -1

        def set_flag(self, flag: Any) -> None:
            assert isinstance(flag, module.BuilderFlag)
            self._flags.add(flag)

        def clear_flag(self, flag: Any) -> None:
            self._flags.discard(flag)

        def add_optimization_profile(self, profile: Any) -> int:
            self._profile = profile
            return 0

        def create_timing_cache(self, serialized_timing_cache: bytes) -> Any:
            return recorded(Cache, "ITimingCache")(serialized_timing_cache)

        def set_timing_cache(self, cache: Any, ignore_mismatch: bool) -> bool:
            fits = machine.accepts_cache or not cache._content
            self._cache = cache if fits else self._cache
            return fits

        def get_timing_cache(self) -> Any:
            return self._cache

    class Builder:
        def __init__(self, log: Any) -> None:
            if not machine.builder_starts:
                log.log(ILogger.Severity.ERROR, "CUDA initialization failure with error: 35")
                raise TypeError("pybind11::init(): factory function returned nullptr")
            self._log, self.num_DLA_cores = log, DLA_CORES

        def create_network(self, flags: int = 0) -> Any:
            return recorded(Network, "INetworkDefinition")(flags)

        def create_builder_config(self) -> Any:
            return recorded(Config, "IBuilderConfig")()

        def create_optimization_profile(self) -> Any:
            return recorded(Profile, "IOptimizationProfile")()

        def build_serialized_network(self, network: Any, config: Any) -> HostMemory | None:
            self._log.log(ILogger.Severity.WARNING, "only a warning")
            if not machine.builds:
                self._log.log(ILogger.Severity.ERROR, "Could not find any implementation for node conv\n  (in build)")
                return None
            plan = {
                "version": machine.version,
                "model": base64.b64encode(network._model).decode(),
                "network_flags": network._flags,
                "flags": sorted(flag.name for flag in config._flags),
                "profile": config._profile._shapes,
                "device": config.default_device_type.name,
                "dla_core": config.DLA_core,
            }
            return HostMemory(json.dumps(plan).encode())

    class Runtime:
        def __init__(self, log: Any) -> None:
            self._log, self.DLA_core, self.engine_host_code_allowed = log, -1, False

        def deserialize_cuda_engine(self, serialized_engine: bytes) -> Any:
            machine.host_code = self.engine_host_code_allowed
            machine.deserialised.append(serialized_engine)
            plan = json.loads(serialized_engine)
            compatible = "VERSION_COMPATIBLE" in plan["flags"] and self.engine_host_code_allowed
            if plan["version"] != machine.version and not compatible:
                self._log.log(ILogger.Severity.ERROR, "The engine plan file is not compatible with this version")
                return None
            return recorded(Engine, "ICudaEngine")(plan)

    class Engine:
        def __init__(self, plan: Any) -> None:
            self._plan, self._session = plan, _session(base64.b64decode(plan["model"]))
            self._tensors = [*self._session.get_inputs(), *self._session.get_outputs()]
            self.num_io_tensors = len(self._tensors)

        def get_tensor_name(self, index: int) -> str:
            return str(self._tensors[index].name)

        def get_tensor_dtype(self, name: str) -> Any:
            types = {"tensor(uint8)": "UINT8", "tensor(float)": "FLOAT", "tensor(float16)": "HALF"}
            return module.DataType[types[self._tensor(name).type]]

        def get_tensor_shape(self, name: str) -> tuple[int, ...]:
            return (-1, *self._tensor(name).shape[1:])

        def get_tensor_profile_shape(self, name: str, profile_index: int) -> list[list[int]]:
            shapes: list[list[int]] = self._plan["profile"][name]
            return shapes

        def create_execution_context(self) -> Any:
            return recorded(Context, "IExecutionContext")(self)

        def _tensor(self, name: str) -> Any:
            return next(tensor for tensor in self._tensors if tensor.name == name)

    class Context:
        def __init__(self, engine: Any) -> None:
            self._engine = engine
            self._addresses: dict[str, int] = {}
            self._shape: tuple[int, ...] = ()

        def set_tensor_address(self, name: str, memory: int) -> bool:
            self._addresses[name] = memory
            return True

        def set_input_shape(self, name: str, shape: tuple[int, ...]) -> bool:
            low, _, high = self._engine._plan["profile"][name]
            self._shape = shape
            return bool(low[0] <= shape[0] <= high[0])

        def execute_async_v3(self, stream_handle: int) -> bool:
            assert stream_handle in machine.streams
            machine.executed.append(self._shape[0])
            image = _view(self._addresses["image"], self._shape, np.uint8).copy()
            for name in ("fake_probability", "forgery_map"):
                (result,) = self._engine._session.run([name], {"image": image})
                _view(self._addresses[name], result.shape, result.dtype)[...] = result
            return True

    module.Builder = recorded(Builder, "Builder")
    module.OnnxParser = recorded(Parser, "OnnxParser")
    module.Runtime = recorded(Runtime, "Runtime")
    assert isinstance(module, ModuleType)
    return module


def make_cudart(machine: Machine) -> ModuleType:
    """Returns ``cuda.bindings.runtime``: every function gives a status and then its results, as the real ones do."""
    module: Any = ModuleType("cuda.bindings.runtime")

    class Status(Enum):
        cudaSuccess = 0  # noqa: N815
        cudaErrorInsufficientDriver = 35  # noqa: N815

    class Kind(Enum):
        cudaMemcpyHostToDevice = 1  # noqa: N815
        cudaMemcpyDeviceToHost = 2  # noqa: N815

    module.cudaError_t, module.cudaMemcpyKind = Status, Kind

    class Stream:
        def __init__(self, handle: int) -> None:
            self._handle = handle

        def __int__(self) -> int:
            return self._handle

    def answer(*values: object) -> tuple[object, ...]:
        if not machine.driver_library:
            raise RuntimeError("Failed to dlopen libcuda.so.1")
        if machine.driver_status:
            return (Status(machine.driver_status), *(None for _ in values))
        return (Status.cudaSuccess, *values)

    def malloc(size: int) -> tuple[object, ...]:
        block = ctypes.create_string_buffer(size)
        address = ctypes.addressof(block)
        machine.memory[address] = block
        return answer(address)

    def free(address: int) -> tuple[object, ...]:
        del machine.memory[address]
        return answer()

    def copy(target: int, source: int, count: int, kind: Enum, stream: int) -> tuple[object, ...]:
        on_device = target if kind.name == "cudaMemcpyHostToDevice" else source
        assert len(machine.memory[on_device]) >= count and stream in machine.streams
        ctypes.memmove(target, source, count)
        return answer()

    def create_stream() -> tuple[object, ...]:
        handle = 1000 + len(machine.streams)
        machine.streams.add(handle)
        return answer(Stream(handle))

    def destroy_stream(stream: Stream) -> tuple[object, ...]:
        machine.streams.discard(int(stream))
        return answer()

    module.cudaGetDeviceCount = lambda: answer(machine.devices)
    module.cudaGetDeviceProperties = lambda device: answer(SimpleNamespace(name=b"Orin\0\0", major=8, minor=7))
    module.cudaGetErrorString = lambda error: (Status.cudaSuccess, error.name.encode())
    module.cudaMalloc, module.cudaFree, module.cudaMemcpyAsync = malloc, free, copy
    module.cudaStreamCreate, module.cudaStreamDestroy = create_stream, destroy_stream
    module.cudaStreamSynchronize = lambda stream: answer()
    assert isinstance(module, ModuleType)
    return module


def _session(model: bytes) -> Any:
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def _view(address: int, shape: tuple[int, ...], dtype: Any) -> Any:
    count = int(np.prod(shape)) * np.dtype(dtype).itemsize
    block = (ctypes.c_uint8 * count).from_address(address)
    return np.frombuffer(block, np.uint8).view(dtype).reshape(shape)
