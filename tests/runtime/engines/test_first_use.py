"""An engine is held against its golden crops when a machine first uses it, and a wrong one judges nobody."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from click.testing import CliRunner
from numpy.typing import NDArray

from tinydf_runtime.cli.run import main
from tinydf_runtime.engines.engine import FileEngine
from tinydf_runtime.engines.first_use import check_first_use
from tinydf_runtime.engines.golden import hash_pictures
from tinydf_runtime.engines.loading import load_engine, open_engine
from tinydf_runtime.errors import QualityError
from tinydf_runtime.io.user_folders import user_cache
from tinydf_runtime.models.spec import GOLDEN_KEY, METADATA_KEY, ModelSpec
from tinydf_runtime.types import Scores

GREEN = 100 / 255
MakeModel = Callable[[float], Path]


@dataclass
class Counting:
    """An engine that counts how often it is asked."""

    inner: FileEngine
    device: str = "cpu"
    calls: int = 0

    def __getattr__(self, name: str) -> object:
        return getattr(self.inner, name)

    def score(self, crops: NDArray[np.uint8]) -> Scores:
        self.calls += 1
        return self.inner.score(crops)


@pytest.fixture(autouse=True)
def new_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The empty cache of a machine that has used nothing yet."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def make_model(make_classifier: Callable[..., Path]) -> MakeModel:
    """Writes a model whose one golden crop gives ``GREEN``, and which says that its checkpoint gave something else."""

    def make(expected: float) -> Path:
        crop = np.full((224, 224, 3), (10, 100, 10), np.uint8)
        picture = cv2.imencode(".webp", crop, [cv2.IMWRITE_WEBP_QUALITY, 101])[1].tobytes()
        spec = ModelSpec(name="tiny", golden_sha256=hash_pictures([picture]), golden_probability=(expected,))
        text = json.dumps([base64.b64encode(picture).decode()])
        return make_classifier(metadata={METADATA_KEY: spec.to_json(), GOLDEN_KEY: text})

    return make


def test_a_device_that_computes_wrongly_is_refused_with_the_figure(make_model: MakeModel, tmp_path: Path) -> None:
    path = make_model(GREEN + 0.25)
    for _ in range(2):
        with pytest.raises(QualityError, match=r"tiny\.onnx: onnxruntime \S+ computes wrongly on cpu .* by 0\.25,"):
            open_engine(path)
    (tmp_path / "video.mp4").write_bytes(b"never looked at")
    done = CliRunner().invoke(main, [str(tmp_path / "video.mp4"), "--engine", str(path)])
    assert done.exit_code == 3
    assert "0.25" in done.output and "FAKE" not in done.output and done.output.count("\n") == 1


def test_a_result_that_is_no_number_is_refused(make_model: MakeModel) -> None:
    path = make_model(GREEN)
    engine = load_engine(path)
    spec = replace(engine.spec, golden_probability=(float("nan"),))
    with pytest.raises(QualityError):
        check_first_use(replace(engine, spec=spec), path)  # type: ignore[type-var]


def test_a_right_engine_is_asked_once_for_each_model_and_device(make_model: MakeModel) -> None:
    path = make_model(GREEN)
    engine = Counting(load_engine(path))
    for _ in range(3):
        check_first_use(engine, path)  # type: ignore[arg-type]
    assert engine.calls == 1
    other = Counting(load_engine(path), device="gpu")
    check_first_use(other, path)  # type: ignore[arg-type]
    assert other.calls == 1
    path.write_bytes(path.read_bytes() + b"\x32\x00")
    check_first_use(engine, path)  # type: ignore[arg-type]
    assert engine.calls == 2


def test_what_is_remembered_is_replaced_where_it_is_damaged(make_model: MakeModel, new_machine: Path) -> None:
    path = make_model(GREEN)
    engine = Counting(load_engine(path))
    check_first_use(engine, path)  # type: ignore[arg-type]
    (remembered,) = (new_machine / "tinydf" / "first-use").glob("*.json")
    remembered.write_bytes(b"{")
    for _ in range(2):
        check_first_use(engine, path)  # type: ignore[arg-type]
    assert engine.calls == 2


def test_without_a_cache_the_crops_are_replayed_each_time(make_model: MakeModel, new_machine: Path) -> None:
    new_machine.write_text("a file where the folder should be")
    path = make_model(GREEN)
    engine = Counting(load_engine(path))
    for _ in range(2):
        check_first_use(engine, path)  # type: ignore[arg-type]
    assert engine.calls == 2


def test_a_model_without_golden_crops_is_accepted(tiny_classifier: Path) -> None:
    assert open_engine(tiny_classifier).name == "onnxruntime"


def test_the_cache_is_where_the_system_keeps_such_folders(new_machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert user_cache() == new_machine / "tinydf"
    monkeypatch.setenv("XDG_CACHE_HOME", "not/absolute")
    monkeypatch.setattr("sys.platform", "linux")
    assert user_cache() == Path.home() / ".cache" / "tinydf"
    monkeypatch.setattr("sys.platform", "darwin")
    assert user_cache() == Path.home() / "Library" / "Caches" / "tinydf"
