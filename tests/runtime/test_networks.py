"""Analyzers share loaded networks, release them, and leave cores to the rest of the work."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import threading
import weakref
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from tinydf_runtime.analyzer import Analyzer
from tinydf_runtime.engines.engine import FileEngine
from tinydf_runtime.engines.loading import open_engine
from tinydf_runtime.engines.onnxruntime_engine import OnnxRuntimeEngine
from tinydf_runtime.errors import ModelFileError, UnavailableError, UsageError
from tinydf_runtime.models.spec import ModelSpec
from tinydf_runtime.networks import CachedNetwork, borrow, open_networks


@pytest.fixture
def openings(monkeypatch: pytest.MonkeyPatch) -> list[FileEngine]:
    """The classifiers that were really loaded."""
    opened: list[FileEngine] = []

    def open_and_count(*arguments: object, **options: object) -> FileEngine:
        opened.append(open_engine(*arguments, **options))  # type: ignore[arg-type]
        return opened[-1]

    monkeypatch.setattr("tinydf_runtime.networks.open_engine", open_and_count)
    return opened


def test_analyzers_of_one_model_load_it_once(
    openings: list[FileEngine], tiny_classifier: Path, tiny_detector: Path
) -> None:
    with (
        Analyzer(tiny_classifier, detector=tiny_detector) as first,
        Analyzer(tiny_classifier, detector=tiny_detector) as second,
    ):
        first.load()
        second.load()
        assert first.report([]).model == second.report([]).model
    assert len(openings) == 1


def test_many_threads_that_start_at_once_load_it_once(
    openings: list[FileEngine], tiny_classifier: Path, tiny_detector: Path
) -> None:
    start = threading.Barrier(8)

    def make() -> Analyzer:
        start.wait(10)
        analyzer = Analyzer(tiny_classifier, detector=tiny_detector)
        analyzer.load()
        return analyzer

    with ThreadPoolExecutor(8) as pool:
        analyzers = [future.result() for future in [pool.submit(make) for _ in range(8)]]
    assert (len(analyzers), len(openings)) == (8, 1)


def test_a_model_stays_loaded_until_the_last_analyzer_is_closed(
    openings: list[FileEngine], tiny_classifier: Path, tiny_detector: Path
) -> None:
    first, second = (Analyzer(tiny_classifier, detector=tiny_detector) for _ in range(2))
    first.load()
    second.load()
    first.close()
    with Analyzer(tiny_classifier, detector=tiny_detector) as third:
        third.load()
    assert len(openings) == 1
    second.close()
    with Analyzer(tiny_classifier, detector=tiny_detector) as fourth:
        fourth.load()
    assert len(openings) == 2


def test_memory_is_given_back_when_nobody_uses_a_network(tmp_path: Path) -> None:
    class Network:
        pass

    cached = borrow("classifier", tmp_path / "m.onnx", "cpu")
    network = weakref.ref(cached.get(Network))
    assert borrow("classifier", tmp_path / "m.onnx", "cpu") is cached
    del cached
    gc.collect()
    assert network() is None


def test_threads_device_and_fallback_are_not_shared_across(
    openings: list[FileEngine], tiny_classifier: Path, tiny_detector: Path
) -> None:
    with (
        Analyzer(tiny_classifier, detector=tiny_detector, threads=1) as one,
        Analyzer(tiny_classifier, detector=tiny_detector, threads=2) as two,
        Analyzer(tiny_classifier, detector=tiny_detector, threads=2, allow_fallback=True) as three,
    ):
        for analyzer in (one, two, three):
            analyzer.load()
    assert len(openings) == 3


def test_a_fallback_of_one_analyzer_is_none_of_another(
    monkeypatch: pytest.MonkeyPatch, tiny_classifier: Path, tiny_detector: Path
) -> None:
    monkeypatch.setattr("onnxruntime.get_available_providers", lambda: ["CPUExecutionProvider"])
    with Analyzer(tiny_classifier, detector=tiny_detector, device="cuda", allow_fallback=True) as lenient:
        assert lenient.device == "cpu"
        with pytest.raises(UnavailableError):
            Analyzer(tiny_classifier, detector=tiny_detector, device="cuda").load()


def test_a_replaced_file_is_another_model(
    make_classifier: Callable[..., Path], tiny_detector: Path, tmp_path: Path
) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(make_classifier(ModelSpec("old")).read_bytes())
    with Analyzer(path, detector=tiny_detector) as before:
        assert before.spec.name == "old"
        replacement = tmp_path / "new.tmp"
        replacement.write_bytes(make_classifier(ModelSpec("new")).read_bytes())
        replacement.replace(path)
        with Analyzer(path, detector=tiny_detector) as after:
            assert after.spec.name == "new"
        assert before.spec.name == "old"


@pytest.mark.parametrize("name", ["model.bin", "model.plan.json"])
def test_a_replaced_side_file_counts_too(tmp_path: Path, name: str) -> None:
    path = tmp_path / "model.xml"
    path.write_bytes(b"graph")
    (tmp_path / name).write_bytes(b"old")
    before = borrow("classifier", path)
    (tmp_path / name).write_bytes(b"longer")
    assert borrow("classifier", path) is not before


def test_a_folder_counts_with_all_in_it(tmp_path: Path) -> None:
    inner = tmp_path / "model.mlpackage" / "Data" / "weights"
    inner.parent.mkdir(parents=True)
    inner.write_bytes(b"old")
    before = borrow("classifier", tmp_path / "model.mlpackage")
    assert borrow("classifier", tmp_path / "model.mlpackage") is before
    inner.write_bytes(b"longer")
    assert borrow("classifier", tmp_path / "model.mlpackage") is not before


def test_two_names_of_one_file_are_one_model(tiny_classifier: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = borrow("classifier", tiny_classifier)
    monkeypatch.chdir(tiny_classifier.parent)
    # The names of the files beside it are part of the key as they are found.
    assert borrow("classifier", Path(tiny_classifier.name)) is before


def test_a_load_that_failed_can_be_tried_again() -> None:
    cached = CachedNetwork()

    def fail() -> str:
        raise ModelFileError("m.onnx: is missing.")

    with pytest.raises(ModelFileError):
        cached.get(fail)
    assert cached.get(lambda: "loaded") == "loaded"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_forked_child_loads_networks_of_its_own(tiny_classifier: Path, tiny_detector: Path) -> None:
    # ONNX Runtime's threads stay behind in the parent: a session shared with the child would wait for them for ever.
    code = f"""
import os, numpy
from tinydf_runtime import Analyzer
analyzer = Analyzer({str(tiny_classifier)!r}, detector={str(tiny_detector)!r}, threads=2)
picture = numpy.zeros((64, 64, 3), numpy.uint8)
analyzer.score_faces(picture, [[0, 0, 60, 60]])
child = os.fork()
if child == 0:
    scores = analyzer.score_faces(picture, [[0, 0, 60, 60]])
    analyzer.detect_faces(picture)
    os._exit(7 if len(scores.fake_probability) == 1 else 1)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == "7"


def test_a_closed_analyzer_refuses_every_call(tiny_classifier: Path, tiny_detector: Path) -> None:
    picture = np.zeros((64, 64, 3), np.uint8)
    analyzer = Analyzer(tiny_classifier, detector=tiny_detector)
    waiting = analyzer.analyze_many(["clip.mp4"])
    analyzer.close()
    analyzer.close()
    calls: list[Callable[[], object]] = [
        analyzer.load,
        analyzer.__enter__,
        lambda: analyzer.analyze("clip.mp4"),
        lambda: analyzer.analyze_input("clip.mp4"),
        lambda: next(waiting),
        lambda: analyzer.analyze_frames([picture], 25),
        lambda: analyzer.stream("clip.mp4"),
        lambda: analyzer.detect_faces(picture),
        lambda: analyzer.score_faces(picture, []),
        lambda: analyzer.report([]),
        lambda: analyzer.device,
        lambda: analyzer.spec,
        lambda: analyzer.threshold,
    ]
    for call in calls:
        with pytest.raises(UsageError, match="closed"):
            call()


# Threads


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="needs a system that tells a process its cores")
@pytest.mark.parametrize(("cores", "given", "opened"), [(1, None, 1), (2, None, 1), (4, None, 2), (4, 3, 3)])
def test_the_classifier_leaves_two_cores_to_the_rest_unless_told_otherwise(
    make_classifier: Callable[..., Path],
    tiny_detector: Path,
    monkeypatch: pytest.MonkeyPatch,
    cores: int,
    given: int | None,
    opened: int,
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: set(range(cores)))
    # A model of its own: one that another test still holds would not be opened again.
    classifier = make_classifier(spec=ModelSpec(name=f"threads-{cores}-{given}"))
    engine = open_networks(classifier, tiny_detector, "cpu", given, allow_fallback=False).engine
    assert isinstance(engine, OnnxRuntimeEngine)
    assert engine.session.get_session_options().intra_op_num_threads == opened
