"""The shipped files are those that were recorded, and a single changed byte shows."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

pytest.importorskip("onnx")
pytest.importorskip("skimage")

from tinydf_export.cli.verify import main as verify_main
from tinydf_runtime.errors import ModelFileError
from tinydf_runtime.io.files import sha256_of
from tinydf_runtime.models.seal import check_seal
from tinydf_runtime.models.shipped import DEFAULT_DETECTOR, DEFAULT_MODEL, RECORD_NAME, check_recorded, read_record

Runner = Callable[[list[str], Path], "subprocess.CompletedProcess[str]"]
NETWORKS = (DEFAULT_MODEL, DEFAULT_DETECTOR)


def test_every_shipped_file_is_the_recorded_one(recorder: ModuleType) -> None:
    for folder in recorder.FOLDERS:
        others = (".py", ".pyc")
        found = {
            path.name: sha256_of(path)
            for path in folder.iterdir()
            if path.is_file() and path.name != RECORD_NAME and path.suffix not in others
        }
        assert found == read_record(folder), "after replacing a shipped file: python scripts/record_shipped.py"
        assert found


@pytest.mark.parametrize("network", NETWORKS, ids=lambda path: path.stem)
def test_a_card_tells_the_hash_of_its_checkpoint(network: Path, recorder: ModuleType) -> None:
    checkpoint = recorder.DEFAULT_PATH.with_name(f"{network.stem}.safetensors")
    card = network.with_suffix(".md").read_text(encoding="utf-8")
    assert re.findall(r"SHA-256 of the checkpoint: `([0-9a-f]+)`", card) == [sha256_of(checkpoint)]


@pytest.mark.parametrize("network", NETWORKS, ids=lambda path: path.stem)
def test_shipped_networks_are_sealed_and_verified(network: Path, run: Runner, tmp_path: Path) -> None:
    assert check_seal(network)
    done = run(["tinydf-verify", str(network)], tmp_path)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("share", [0.0, 0.3, 0.6, 0.999, 1.0])
@pytest.mark.parametrize("network", NETWORKS, ids=lambda path: path.stem)
def test_one_changed_bit_is_seen_without_the_record_too(
    network: Path,
    share: float,
    flip: Callable[[Path, float], None],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    copied = Path(shutil.copy(network, tmp_path))
    flip(copied, share)
    with pytest.raises(SystemExit) as ended:
        verify_main.main([str(copied)])
    told = capsys.readouterr().err
    assert ended.value.code == 6, told
    assert told.count("\n") == 1 and network.name in told


def test_a_recorded_file_that_was_changed_is_refused_though_its_seal_is_whole(run: Runner, tmp_path: Path) -> None:
    shutil.copytree(DEFAULT_MODEL.parent, tmp_path / "models")
    other = tmp_path / "models" / DEFAULT_MODEL.name
    shutil.copy(DEFAULT_DETECTOR, other)
    assert check_seal(other)
    done = run(["tinydf-verify", str(other)], tmp_path)
    assert done.returncode == 6 and RECORD_NAME in done.stderr
    with pytest.raises(ModelFileError, match=RECORD_NAME):
        check_recorded(other)


def test_a_damaged_network_judges_nobody(flip: Callable[[Path, float], None], run: Runner, tmp_path: Path) -> None:
    copied = Path(shutil.copy(DEFAULT_MODEL, tmp_path))
    flip(copied, 0.5)
    done = run(["tinydf-run", "--engine", str(copied), "clip.mp4"], tmp_path)
    assert done.returncode == 6 and not done.stdout
