import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from tinydf.synchronised_norm import synchronise_norms

RUN = """
import json, sys
from pathlib import Path
import torch
from lightning_fabric import Fabric
from tinydf.data.photos import read_photos
from tinydf.train import train
from tinydf.train_config import TrainConfig

# Each process draws its own dropout: without it, the arithmetic is the same.
torch.nn.Dropout.forward = lambda self, x: x
torch.set_num_threads(1)
folder, out, processes = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
fabric = Fabric(accelerator="cpu", devices=processes, strategy="ddp" if processes > 1 else "auto")
fabric.launch()
photos = read_photos(folder, "train")
config = TrainConfig(seed=3, steps=3, batch_pairs=4, patch_px=64, validate_every=3, learning_rate=5e-5)
losses = []
train(
    config, photos[:8], photos[8:12], out, fabric=fabric, workers=0, report=lambda step: losses.append(step.loss)
)
if fabric.is_global_zero:
    (out / "losses.json").write_text(json.dumps(losses))
"""


def run(folder: Path, out: Path, processes: int) -> list[float]:
    out.mkdir()
    script = out / "run.py"
    script.write_text("import tinydf.train\ntinydf.train.STATISTICS_BATCHES = 2\n" + RUN)
    launcher = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}"] if processes > 1 else []
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, *launcher, str(script), str(folder), str(out), str(processes)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=500, check=False)
    assert done.returncode == 0, done.stderr
    losses: list[float] = json.loads((out / "losses.json").read_text())
    return losses


@pytest.mark.skipif(not torch.distributed.is_gloo_available(), reason="torch was built without gloo")
def test_two_processes_learn_what_one_does(drawn_folder: Path, tmp_path: Path) -> None:
    alone, together = (run(drawn_folder, tmp_path / f"{count}", count) for count in (1, 2))
    # Batch statistics over half the pairs would change the first loss already.
    assert together[0] == pytest.approx(alone[0], rel=5e-4)
    # Later, AdamW turns rounding errors of gradients near zero into whole steps.
    np.testing.assert_allclose(together, alone, rtol=0.03)


def test_layers_keep_their_names_and_their_results_in_use() -> None:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4)).eval()
    images, names = torch.randn(2, 3, 5, 5), list(network.state_dict())
    before = network(images)
    after = synchronise_norms(network, torch.device("cpu"))
    assert list(after.state_dict()) == names
    torch.testing.assert_close(after(images), before)
