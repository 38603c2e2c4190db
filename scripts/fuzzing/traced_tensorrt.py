"""The tests' double of TensorRT, which says on stderr when a plan reaches its deserialiser."""

from __future__ import annotations

import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any

DOUBLE = Path(__file__).parents[2] / "tests" / "tensorrt_double.py"
VERSION = "10.3.0"
DEVICE = "Orin (sm_87)"


def load_double() -> Any:
    """Returns the module of the double."""
    found = spec_from_file_location("tensorrt_double", DOUBLE)
    assert found is not None and found.loader is not None
    module = sys.modules["tensorrt_double"] = module_from_spec(found)
    found.loader.exec_module(module)
    return module


def install() -> None:
    """Puts the double in the library's place, in this process."""
    double: Any = load_double()
    machine = double.Machine(VERSION)
    bindings: Any = ModuleType("cuda.bindings")
    bindings.runtime = double.make_cudart(machine)
    tensorrt: Any = double.make_tensorrt(machine)
    whole = tensorrt.Runtime

    class Runtime(whole):  # type: ignore[misc, valid-type]
        def deserialize_cuda_engine(self, serialized_engine: bytes) -> Any:
            print("a plan that nobody trusts has reached the deserialiser", file=sys.stderr)
            return super().deserialize_cuda_engine(serialized_engine)

    tensorrt.Runtime = Runtime
    sys.modules |= {"tensorrt": tensorrt, "cuda": ModuleType("cuda"), "cuda.bindings": bindings}
    sys.modules["cuda.bindings.runtime"] = bindings.runtime
