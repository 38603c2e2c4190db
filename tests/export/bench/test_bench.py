"""tinydf-bench on the hand-written classifier: every figure, every engine that is absent, table, JSON and plot."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from tinydf_calibration.sampler import LabelledCrops
from tinydf_export.bench import fresh_process
from tinydf_export.bench import measure as bench
from tinydf_export.bench.fresh_process import Fresh, measure_fresh
from tinydf_export.bench.measure import bench_models
from tinydf_export.bench.row import Row, measure_size
from tinydf_export.cli import bench as bench_cli
from tinydf_runtime.engines.engine import ENGINES
from tinydf_runtime.engines.loading import load_engine
from tinydf_runtime.errors import MissingExtraError, UnavailableError
from tinydf_runtime.models.spec import ModelSpec


@pytest.fixture
def no_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process of its own takes a second; one test has it."""
    monkeypatch.setattr(bench, "measure_fresh", lambda path, device, threads, batch: Fresh(12.0, 34_000_000))


def run_bench(*arguments: object) -> tuple[int, str]:
    result = CliRunner().invoke(bench_cli.main, [str(one) for one in arguments], env={"COLUMNS": "80"})
    return result.exit_code, result.stdout


def test_every_model_is_measured_with_every_batch_and_number_of_threads(
    tiny_classifier: Path, make_classifier: Callable[..., Path], no_process: None
) -> None:
    other = make_classifier(ModelSpec(name="other"))
    rows = bench_models([tiny_classifier, other], device="cpu", threads=[1, 2], batches=[1, 3], turns=2)
    measured = [row for row in rows if not row.missing]
    assert [(row.threads, row.batch) for row in measured] == [(1, 1), (1, 3), (2, 1), (2, 3)] * 2
    for row in measured:
        assert row.p50_ms is not None and row.p95_ms is not None and row.min_ms is not None
        assert 0 < row.min_ms <= row.p50_ms <= row.p95_ms
        assert row.faces_per_s == pytest.approx(row.batch / row.p50_ms * 1e3)
        assert (row.engine, row.precision, row.load_ms) == ("onnxruntime", "fp32", 12.0)
        assert row.mean_difference == 0 and row.flipped == 0 and row.auc is None
    assert measured[0].size_bytes == tiny_classifier.stat().st_size


def test_an_interrupted_bench_keeps_what_was_measured(tiny_classifier: Path, no_process: None) -> None:
    stop = threading.Event()
    rows = bench_models(
        [tiny_classifier],
        device="cpu",
        threads=[1],
        batches=[1, 2, 4],
        turns=5,
        report=lambda done, total: stop.set() if done == 2 else None,
        stop=stop,
    )
    measured = [row for row in rows if not row.missing]
    assert [row.batch for row in measured] == [1, 2]
    assert all(row.p50_ms is not None and row.load_ms is None for row in measured)


def test_ctrl_c_writes_the_rows_and_exits_130(tiny_classifier: Path, tmp_path: Path) -> None:
    code = (
        "import os, signal, sys; from tinydf_export.bench import measure as bench; real = bench._time_calls;"
        "bench._time_calls = lambda *one: (real(*one), os.kill(os.getpid(), signal.SIGINT))[0];"
        "from tinydf_export.cli.bench import main; main()"
    )
    arguments = [str(tiny_classifier), "--json", str(tmp_path / "rows.json"), "--quiet"]
    done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 130
    assert done.stderr == "tinydf-bench: interrupted; what was measured is written.\n"
    assert json.loads((tmp_path / "rows.json").read_text())["rows"][0]["p50_ms"] > 0


def test_labelled_crops_give_auc_and_differences(tiny_classifier: Path, no_process: None) -> None:
    levels = np.array([20, 60, 120, 200], np.uint8)
    crops = np.broadcast_to(levels[:, None, None, None], (4, 224, 224, 3)).copy()
    words, numbers = np.array(["a"] * 4), np.ones(4)
    labelled = LabelledCrops(
        crops, np.array([False, True, False, True]), np.arange(4), words, words, words, numbers, numbers, numbers
    )
    row = bench_models([tiny_classifier], device="cpu", threads=[1], batches=[1], turns=1, labelled=labelled)[0]
    assert (row.crops, row.auc) == (4, 0.75)


def test_a_process_of_its_own_tells_time_and_memory(tiny_classifier: Path, tmp_path: Path) -> None:
    fresh = measure_fresh(tiny_classifier, "cpu", 1, 2)
    assert fresh.load_ms > 0
    assert fresh.peak_bytes is None or 10_000_000 < fresh.peak_bytes < 2_000_000_000
    with pytest.raises(UnavailableError, match=r"none\.onnx: a process of its own could not run it") as caught:
        measure_fresh(tmp_path / "none.onnx", "cpu", 1, 1)
    assert "\n" not in str(caught.value)


def test_absent_engines_are_rows_that_say_how_to_install_them(
    tiny_classifier: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, no_process: None
) -> None:
    imported = import_module

    def refuse(name: str) -> object:
        if name.endswith("tensorrt_engine"):
            raise ImportError("No module named 'tensorrt'", name="tensorrt")
        return imported(name)

    monkeypatch.setattr(bench, "import_module", refuse)

    def open_but_xml(path: Path, device: str, threads: int | None) -> object:
        if path.suffix == ".xml":
            raise MissingExtraError(
                "openvino: is not installed. In the clone of TinyDF: pip install -c constraints.txt '.[openvino]'"
            )
        return load_engine(path, device, threads)

    monkeypatch.setattr(bench, "load_engine", open_but_xml)
    code, shown = run_bench(tiny_classifier, tmp_path / "mine.xml", "--turns", 1, "--threads", "1,2")
    assert code == 0
    shown = " ".join(shown.split())
    assert shown.count("pip install -c constraints.txt '.[openvino]'") == 1
    assert ".[tensorrt]" in shown
    assert "mine.xml" in shown and "tiny.onnx" in shown


def test_a_device_that_is_not_there_leaves_rows_without_figures(tiny_classifier: Path, no_process: None) -> None:
    rows = bench_models([tiny_classifier], device="cuda", threads=[1], batches=[1], turns=1)
    if rows[0].missing:
        assert rows[0].p50_ms is None and "cuda: not available" in rows[0].missing
    else:
        assert rows[0].device == "cuda"


def test_each_model_is_measured_on_the_device_of_its_engine(
    tiny_classifier: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, no_process: None
) -> None:
    monkeypatch.setitem(sys.modules, "tensorrt", None)
    rows = bench_models([tmp_path / "mine.plan", tiny_classifier], device="auto", threads=[1, 2], batches=[1], turns=1)
    # A graphics card takes no number of threads.
    found = [(row.model, row.device, row.threads) for row in rows if row.model]
    assert found == [("tiny.onnx", "cpu", 1), ("tiny.onnx", "cpu", 2), ("mine.plan", "cuda", None)]


def test_json_table_and_plot(tiny_classifier: Path, tmp_path: Path, no_process: None) -> None:
    code, shown = run_bench(tiny_classifier, "--turns", 1, "--batch", "1,2", "--plot", tmp_path / "plot.svg")
    assert code == 0
    assert all(len(line.rstrip()) <= 80 for line in shown.splitlines())
    assert (tmp_path / "plot.svg").read_text(encoding="utf-8").lstrip().startswith("<?xml")
    code, shown = run_bench(tiny_classifier, "--turns", 1, "--json", "-")
    figures = json.loads(shown)
    assert figures["schema"] == "tinydf.bench/1"
    assert set(figures["rows"][0]) == set(Row.__slots__)


@pytest.mark.parametrize(
    ("arguments", "code"),
    [(["none.onnx"], 6), (["none.xyz"], 2), (["--batch", "0"], 2), (["--threads", "a"], 2), (["--plot", "a.gif"], 2)],
)
def test_wrong_arguments_end_with_their_code(arguments: list[str], code: int) -> None:
    assert run_bench(*arguments)[0] == code


def test_all_files_of_a_model_count(tmp_path: Path) -> None:
    (tmp_path / "a.xml").write_bytes(b"12345")
    (tmp_path / "a.bin").write_bytes(b"123")
    (tmp_path / "b.mlpackage" / "Data").mkdir(parents=True)
    (tmp_path / "b.mlpackage" / "Data" / "weights").write_bytes(b"1234")
    assert measure_size(tmp_path / "a.xml") == 8
    assert measure_size(tmp_path / "b.mlpackage") == 4


def test_the_table_of_engines_names_modules_by_engine() -> None:
    assert all(row.module.endswith("_engine") for row in ENGINES.values())


def test_the_command_runs_without_torch(tiny_classifier: Path) -> None:
    code = (
        "import sys; sys.modules['torch'] = None; sys.argv = ['tinydf-bench', sys.argv[1], '--turns', '1', '--quiet'];"
        "from tinydf_export.bench import measure as bench; from tinydf_export.bench.fresh_process import Fresh;"
        "bench.measure_fresh = lambda *one: Fresh(1.0, None);"
        "from tinydf_export.cli.bench import main; main()"
    )
    done = subprocess.run([sys.executable, "-c", code, str(tiny_classifier)], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


def test_memory_is_told_on_this_system_or_not_at_all() -> None:
    assert (fresh_process.peak_memory() or 1) > 0
