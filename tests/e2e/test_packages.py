"""What a real PyTorch writes: compiled packages (AOTInductor), TorchScript, checkpoints.

Needs a Python with PyTorch of the version that retouchd is built with: RETOUCHD_TORCH_PYTHON=/path/to/python."""

import json
import os
import subprocess
import tempfile
from pathlib import Path

import cv2
import numpy as np
import pytest

import make_networks
import pictures
from daemon_process import SOURCE

PYTHON = os.environ.get("RETOUCHD_TORCH_PYTHON", "")
VERSION = next(line.split("=")[1] for line in (SOURCE / "scripts/setup").read_text().splitlines()
               if line.startswith("libtorch_version="))


def why_not():
    if not PYTHON:
        return "RETOUCHD_TORCH_PYTHON names no Python with PyTorch"
    asked = subprocess.run([PYTHON, "-c", "import torch; print(torch.__version__)"], capture_output=True, text=True)
    if asked.returncode != 0:
        return f"no PyTorch in {PYTHON}: {asked.stderr.strip().splitlines()[-1]}"
    version = asked.stdout.strip()
    return None if version.split("+")[0] == VERSION else f"{PYTHON} has PyTorch {version}, retouchd uses {VERSION}"


REASON = why_not()
pytestmark = pytest.mark.skipif(REASON is not None, reason=str(REASON))

NETWORK = """
import sys, torch
class Soften(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.register_buffer("box", torch.full((3, 1, 3, 3), 1 / 9))
    def forward(self, x):
        return torch.nn.functional.conv2d(x, self.box, padding=1, groups=3) * 0.5 + 0.25
network = Soften().eval()
"""
SCRIPTED = NETWORK + "torch.jit.script(network).save(sys.argv[1])"
COMPILED = NETWORK + """
side = torch.export.Dim("side", min=4, max=512)
rows = torch.export.Dim("rows", min=4, max=512)
program = torch.export.export(network, (torch.rand(1, 3, 128, 192),), dynamic_shapes=({2: 8 * rows, 3: 8 * side},))
torch._inductor.aoti_compile_and_package(program, package_path=sys.argv[1])
"""
MANIFEST = "task: soften\nlicense: CC0\nscale: 1\nchannels: 3\nmultiple: 8\nreceptive_field: 1\n"


def torch_does(script, *arguments):
    with tempfile.TemporaryDirectory() as folder:  # a file: TorchScript reads its own source
        program = Path(folder) / "program.py"
        program.write_text(script)
        done = subprocess.run([PYTHON, program, *map(str, arguments)], capture_output=True, text=True, timeout=500,
                              env={**os.environ, "OMP_NUM_THREADS": "1"})
    assert done.returncode == 0, done.stderr[-3000:]


@pytest.fixture
def models(tmp_path):
    folder = tmp_path / "models"
    folder.mkdir()
    return folder


@pytest.fixture
def picture(tmp_path):
    file = tmp_path / "picture.png"
    file.write_bytes(pictures.encoded(pictures.scene(500, 400, seed=71), ".png"))
    return file


def restore(daemon, file, output, network):
    client, events = daemon.client(), daemon.events()
    job = client.submit(file, output=output, preview=False, network=network)
    end = events.wait_for_end(job, 300)
    assert end["kind"] == "done", end
    return pictures.decoded(output)


@pytest.mark.parametrize("kind, script", [("torchscript", SCRIPTED), ("aotinductor", COMPILED)])
def test_a_package_restores_as_it_was_made(kind, script, make_daemon, models, picture, tmp_path):
    package = models / ("soften.pt2" if kind == "aotinductor" else "soften.pt")
    torch_does(script, package)
    (models / "soften.yaml").write_text(MANIFEST)
    # A compiled package checks its shapes itself; tiles of more than one size, in lanes, must get through.
    daemon = make_daemon(model_dirs=[str(models)], tile={"size": 256}).start()
    restored = restore(daemon, picture, tmp_path / "a.png", "soften")
    blurred = cv2.blur(pictures.decoded(picture).astype(np.float32) / 255, (3, 3))
    expected = np.clip(np.round((blurred * 0.5 + 0.25) * 255), 0, 255)
    inner = np.s_[1:-1, 1:-1]
    assert np.abs(restored[inner].astype(np.int64) - expected[inner]).max() <= 1
    known = {model["name"]: model for model in map(json.loads, daemon.retouch("models", "--json", check=0).stdout.splitlines())}
    assert (known["soften"]["architecture"], known["soften"]["state"]) == (kind, "valid")
    assert known["soften"]["task"] == "soften" and known["soften"]["license"] == "CC0"
    assert daemon.stop() == 0
    daemon.retouch("validate", "--network", "soften", check=0)

    # Code runs from model folders only.
    stray = package.rename(tmp_path / package.name)
    (models / "soften.yaml").rename(tmp_path / "soften.yaml")
    answer = daemon.retouch("validate", "--weights", stray)
    assert answer.returncode == 5 and "model folder" in answer.stderr, answer.stderr


@pytest.mark.parametrize("zipped", [True, False])
def test_a_checkpoint_restores_as_the_same_weights_as_safetensors(zipped, make_daemon, models, picture, tmp_path):
    tensors = make_networks.restormer()
    make_networks.write_safetensors(models / "same.safetensors", tensors)
    np.savez(tmp_path / "tensors.npz", **tensors)
    torch_does("import collections, numpy, sys, torch\n"
               "arrays = numpy.load(sys.argv[1])\n"
               "weights = collections.OrderedDict((name, torch.from_numpy(arrays[name])) for name in arrays)\n"
               f"torch.save({{'params': weights, 'epoch': 3}}, sys.argv[2], _use_new_zipfile_serialization={zipped})",
               tmp_path / "tensors.npz", models / "real.pth")
    daemon = make_daemon(model_dirs=[str(models)], tile={"size": 256}).start()
    results = [restore(daemon, picture, tmp_path / f"{name}.png", name) for name in ("real", "same")]
    assert np.array_equal(*results)
    daemon.retouch("convert", models / "real.pth", tmp_path / "converted.safetensors", check=0)
    converted, _ = make_networks.read_safetensors(tmp_path / "converted.safetensors")
    assert all(np.array_equal(converted[name], tensors[name]) for name in tensors)
