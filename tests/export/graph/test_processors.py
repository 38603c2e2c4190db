"""The same checkpoint on a processor that rounds otherwise; a setting of MKL stands for it, in a process of its own.

tests/shipped/test_exports.py has the shipped checkpoint on a second one.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from tinydf.checkpoint import Checkpoint
from tinydf_calibration.table import graph_hash
from tinydf_export.parity.golden import draw_golden_crops
from tinydf_export.parity.report import score_eagerly

CODE = """
import hashlib, json, sys
from pathlib import Path
from tinydf.checkpoint import load_checkpoint
from tinydf_calibration.table import graph_hash
from tinydf_export.graph.float_graph import build_float_graph
from tinydf_export.parity.golden import draw_golden_crops
from tinydf_export.parity.report import score_eagerly

checkpoint = load_checkpoint(Path(sys.argv[1]))
graph = build_float_graph(checkpoint)
scores = score_eagerly(checkpoint, draw_golden_crops(checkpoint.spec.crop)).fake_probability
content = hashlib.sha256(graph.SerializeToString(deterministic=True)).hexdigest()
print(json.dumps({"key": graph_hash(graph), "content": content, "scores": scores.tolist()}))
"""


@pytest.fixture(scope="module")
def elsewhere(checkpoint_path: Path) -> Any:
    """What an export starts from where MKL takes another way to the same products."""
    environment = os.environ | {"MKL_CBWR": "AVX2", "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", CODE, str(checkpoint_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    return json.loads(done.stdout)


def test_the_graph_and_its_key_are_the_same_on_another_processor(elsewhere: Any, plain_model: onnx.ModelProto) -> None:
    content = hashlib.sha256(plain_model.SerializeToString(deterministic=True)).hexdigest()
    assert elsewhere["key"] == graph_hash(plain_model)
    assert elsewhere["content"] == content


def test_golden_scores_in_the_metadata_differ_by_rounding_alone(elsewhere: Any, checkpoint: Checkpoint) -> None:
    # PyTorch computes them with the library of the processor at hand; verify allows ten times as much.
    here = score_eagerly(checkpoint, draw_golden_crops(checkpoint.spec.crop)).fake_probability
    np.testing.assert_allclose(elsewhere["scores"], here, atol=1e-5, rtol=0)
