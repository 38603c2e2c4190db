"""Typed ONNX files -> does NVIDIA's own parser and compiler take them? Needs no GPU.

    pip install tensorrt-rtx
    python scripts/compile_tensorrt_graph.py fp16.onnx int8.onnx

TensorRT for RTX shares parser, typing rules and Python interface with TensorRT, and compiles for a GPU that is not
there. Our builder runs on it as it is. It checks graph and calls, not the kernels of TensorRT on a Jetson, and nothing
about speed: for these there is check_tensorrt.py.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any
from unittest.mock import patch

import click
import tensorrt_rtx  # type: ignore[import-not-found]

VERSION = "11.0"
"""The line of TensorRT whose rules TensorRT for RTX follows: types are always those that the graph names."""


def compile_graph(model: Path) -> tuple[int, float]:
    """Returns the size of what the compiler made, and the seconds it took."""
    from tinydf_export.targets.tensorrt import builder as tensorrt_builder
    from tinydf_export.targets.tensorrt.options import PlanOptions

    configure = tensorrt_builder._configure

    def configure_for_absent_gpu(*arguments: Any) -> None:
        configure(*arguments)
        config = arguments[1]
        config.num_compute_capabilities = 1
        config.set_compute_capability(tensorrt_rtx.ComputeCapability.SM86, 0)

    started = time.perf_counter()
    with patch.object(tensorrt_builder, "_configure", configure_for_absent_gpu):
        plan, _ = tensorrt_builder.build_plan(model.read_bytes(), "fp32", PlanOptions())
    return len(plan), time.perf_counter() - started


@click.command(epilog="Example: python scripts/compile_tensorrt_graph.py int8.onnx")
@click.argument("models", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False, path_type=Path))
def main(models: tuple[Path, ...]) -> None:
    """Compiles MODELS, which tinydf-export --target tensorrt left, for an Ampere GPU that need not be there."""
    click.echo(f"TensorRT for RTX {tensorrt_rtx.__version__}")
    tensorrt_rtx.__version__ = VERSION
    sys.modules["tensorrt"] = tensorrt_rtx
    for model in models:
        size_bytes, taken_s = compile_graph(model)
        click.echo(f"{model}: compiled to {size_bytes / 1e6:.1f} MB in {taken_s:.1f} s")


if __name__ == "__main__":
    main()
