"""Wheel of TensorRT's Python bindings -> stubs for mypy, on a machine without a GPU. The stubs are not ours to share.

With --record, what the tests hold our calls against is noted too, for this version: the names of the classes that we
use, and the signatures of the methods that we call. tests/tensorrt_names.json was made from three wheels:

    pip download --no-deps --dest wheels tensorrt-bindings==8.6.1
    pip download --no-deps --dest wheels tensorrt-cu12-bindings==10.3.0
    pip download --no-deps --dest wheels tensorrt-cu12-bindings==11.4.0.106
    for wheel in wheels/*.whl; do
        python scripts/tensorrt_stubs.py "$wheel" --out stubs --record tests/tensorrt_names.json
    done

Stubs of one version serve mypy:

    python scripts/tensorrt_stubs.py wheels/tensorrt_cu12_bindings-11.4*.whl --out stubs-11
    MYPYPATH=stubs-11:export:runtime:calibration mypy export/tinydf_export/targets/tensorrt/builder.py

The bindings are a compiled module that wants three libraries of some gigabytes. Empty ones are made in their place:
the names and signatures are inside the module itself. Needs mypy and a C compiler.
"""

from __future__ import annotations

import ast
import json
import os
import re
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

import click

SYMBOLS = re.compile(rb"(?:create\w+_INTERNAL|get\w*PluginRegistry|getNvOnnxParserVersion|initLibNvInferPlugins)\0")
# The mangled names are of parsers that version 8 still had.
MANGLED = re.compile(rb"_ZN\d+nv(?:uff|caffe)parser\w+")
LIBRARIES = re.compile(rb"lib(?:nvinfer|nvonnxparser|nvinfer_plugin|nvparsers)\.so\.\d+")

ROOT = Path(__file__).parents[1]
OURS = (
    "export/tinydf_export/targets/tensorrt/builder.py",
    "runtime/tinydf_runtime/engines/tensorrt_engine.py",
)
"""The modules that call the library."""

UNKNOWN = "(*args, **kwargs) -> None"
"""How the generator writes a constructor that Python cannot call."""

RECORDED = (
    "Builder",
    "BuilderFlag",
    "DataType",
    "DeviceType",
    "IBuilderConfig",
    "ICudaEngine",
    "IExecutionContext",
    "IHostMemory",
    "ILogger",
    "INetworkDefinition",
    "IOptimizationProfile",
    "ITensor",
    "ITimingCache",
    "NetworkDefinitionCreationFlag",
    "OnnxParser",
    "ParserError",
    "Runtime",
    "Severity",
)


@click.command(epilog="Example: python scripts/tensorrt_stubs.py tensorrt_cu12_bindings-11.whl --out stubs-11")
@click.argument("wheel", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--out", required=True, type=click.Path(path_type=Path), help="Folder for the stubs.")
@click.option("--record", type=click.Path(path_type=Path), help="JSON file to note names and signatures in.")
def main(wheel: Path, out: Path, record: Path | None) -> None:
    """Reads the names of WHEEL's module and writes them as stubs of a package ``tensorrt``."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        zipfile.ZipFile(wheel).extractall(folder)
        module = folder / "tensorrt_bindings" / "tensorrt.so"
        write_empty_libraries(module.read_bytes(), folder)
        environment = os.environ | {"LD_LIBRARY_PATH": str(folder), "PYTHONPATH": str(folder / "tensorrt_bindings")}
        stubgen = [sys.executable, "-c", "from mypy.stubgen import main; main()", "--inspect-mode", "--quiet"]
        subprocess.run([*stubgen, "-m", "tensorrt", "-o", str(folder / "stubs")], check=True, env=environment)
        stub = (folder / "stubs" / "tensorrt.pyi").read_text()
    version = wheel.name.split("-")[1]
    stub = readable(stub)
    if record is not None:
        names = json.loads(record.read_text()) if record.exists() else {}
        record.write_text(json.dumps(names | {version: recorded(stub)}, indent=1, sort_keys=True) + "\n")
    package = out / "tensorrt"
    package.mkdir(parents=True, exist_ok=True)
    (package / "__init__.pyi").write_text(f"# TensorRT {version}\nimport typing\n{stub}\n__version__: str\n")
    click.echo(f"{package}: stubs of TensorRT {version}")


def write_empty_libraries(module: bytes, folder: Path) -> None:
    symbols = {match.group()[:-1].decode() for match in SYMBOLS.finditer(module)}
    symbols |= {match.group().decode() for match in MANGLED.finditer(module)}
    source = folder / "empty.c"
    source.write_text("".join(f"void *{symbol}(void) {{ return 0; }}\n" for symbol in sorted(symbols)))
    for library in {match.group().decode() for match in LIBRARIES.finditer(module)}:
        subprocess.run(["cc", "-shared", "-fPIC", "-o", str(folder / library), str(source)], check=True)


def readable(stub: str) -> str:
    """Returns the stub without what the generator writes and mypy cannot parse."""
    stub = stub.replace("tensorrt.tensorrt.", "").replace("tensorrt_bindings.tensorrt.", "")
    # Defaults are printed as objects: <Severity.ERROR: 1>.
    stub = re.sub(r"= <[^>]*>", "= ...", stub)
    # Some functions have parameters without a default behind others with one.
    late = re.compile(r"(= \.\.\., \w+: [^=,()\n]+)(?=[,)])")
    while late.search(stub):
        stub = late.sub(r"\1 = ...", stub)
    # What pybind11 takes and gives without a word in its signatures.
    stub = re.sub(r"(\w+: )Dims\b", r"\1Dims | tuple[int, ...]", stub)
    stub = stub.replace("class Dims:", "class Dims:\n    def __iter__(self) -> typing.Iterator[int]: ...", 1)
    stub = stub.replace(
        "class IHostMemory:", "class IHostMemory:\n    def __buffer__(self, flags: int) -> memoryview: ...", 1
    )
    lines = [line for line in stub.splitlines() if not re.search(r"\bdef [^(]*[^\w(][^(]*\(", line.split("->")[0])]
    return "\n".join(lines)


def recorded(stub: str) -> dict[str, dict[str, object]]:
    """Returns the public names of the classes that we use, and the signatures of what we call of them, by overload."""
    used = used_attributes()
    found: dict[str, dict[str, object]] = {}
    for item in ast.walk(ast.parse(stub)):
        if isinstance(item, ast.ClassDef) and item.name in RECORDED:
            fields = {f.target.id for f in item.body if isinstance(f, ast.AnnAssign) and isinstance(f.target, ast.Name)}
            methods = [f for f in item.body if isinstance(f, ast.FunctionDef)]
            names = sorted(name for name in fields | {f.name for f in methods} if not name.startswith("_"))
            calls: dict[str, list[str]] = {}
            for method in methods:
                wanted = method.name in used or (method.name == "__init__" and item.name in used)
                if wanted and not is_property(method) and (text := signature(method)) != UNKNOWN:
                    calls.setdefault(method.name, []).append(text)
            found[item.name] = {"names": " ".join(names), "calls": calls}
    return found


def used_attributes() -> set[str]:
    """Returns every name that our modules read of an object or define for one: the library's are among them."""
    nodes = [node for module in OURS for node in ast.walk(ast.parse((ROOT / module).read_text()))]
    defined = {node.name for node in nodes if isinstance(node, ast.FunctionDef)}
    return defined | {node.attr for node in nodes if isinstance(node, ast.Attribute)}


def is_property(method: ast.FunctionDef) -> bool:
    return any("property" in ast.unparse(one) or "setter" in ast.unparse(one) for one in method.decorator_list)


def signature(method: ast.FunctionDef) -> str:
    """Returns what a method takes, without the object itself, and what it returns: ``(flag: BuilderFlag) -> None``."""
    arguments = ast.unparse(method.args).removeprefix("self").removeprefix(", ")
    return f"({arguments})" + (f" -> {ast.unparse(method.returns)}" if method.returns else "")


if __name__ == "__main__":
    main()
