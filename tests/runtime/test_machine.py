"""The computer, as its system describes it."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tinydf_runtime.machine import read_machine

X86 = "model name\t: Some Xeon\nflags\t\t: fpu avx2 avx512f avx_vnni\n"
ARM = "Processor\t: x\nModel\t\t: Some Board 5\nFeatures\t: fp asimd asimddp\n"


@pytest.mark.parametrize(
    ("architecture", "text", "name", "there", "lacking"),
    [
        ("x86_64", X86, "Some Xeon", {"AVX2", "VNNI"}, {"AMX"}),
        ("aarch64", ARM, "Some Board 5", {"dot products"}, {"SVE"}),
    ],
)
def test_features_are_read_from_what_linux_lists(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    architecture: str,
    text: str,
    name: str,
    there: set[str],
    lacking: set[str],
) -> None:
    (tmp_path / "cpuinfo").write_text(text)
    monkeypatch.setattr("platform.machine", lambda: architecture)
    found = read_machine(cpuinfo=tmp_path / "cpuinfo")
    assert found.processor == name
    assert {feature for feature, is_there in found.features.items() if is_there} >= there
    assert not any(found.features[feature] for feature in lacking)


def test_apples_processors_are_read_from_sysctl(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    listed = "machdep.cpu.brand_string: Apple M1\nhw.optional.arm.FEAT_DotProd: 1\nhw.optional.arm.FEAT_I8MM: 0\n"
    monkeypatch.setattr("platform.machine", lambda: "arm64")
    monkeypatch.setattr("platform.system", lambda: "Darwin")
    monkeypatch.setattr("subprocess.run", lambda *a, **k: subprocess.CompletedProcess(a, 0, stdout=listed))
    found = read_machine(cpuinfo=tmp_path / "none")
    assert found.processor == "Apple M1"
    assert found.features["dot products"] and not found.features["int8 matrices"]


def test_a_container_with_less_memory_counts(tmp_path: Path) -> None:
    limit = tmp_path / "memory.max"
    limit.write_text(f"{64 << 20}\n")
    assert read_machine(memory_limit=limit).memory_mb == 64
    limit.write_text("max\n")
    unlimited = read_machine(memory_limit=limit)
    assert unlimited.memory_mb != 64 and unlimited.cores >= 1
