"""`retouch compile`, and a daemon that computes with what it made.

Needs a Python with PyTorch of the version that retouchd is built with: RETOUCHD_TORCH_PYTHON=/path/to/python, or `venv` of the
source tree, or python3."""

import json
import os
import shutil
import subprocess

import numpy as np
import pytest

import make_networks
import pictures
from daemon_process import SOURCE

VERSION = next(line.split("=")[1] for line in (SOURCE / "scripts/setup").read_text().splitlines()
               if line.startswith("libtorch_version="))
TILE = {"size": 256}


def torch_of(python):
    asked = subprocess.run([python, "-c", "import torch; print(torch.__version__.split('+')[0])"], capture_output=True, text=True)
    return asked.stdout.strip() if asked.returncode == 0 else None


def find_python():
    """(a suitable Python or None, why none is)"""
    candidates = [os.environ.get("RETOUCHD_TORCH_PYTHON"), str(SOURCE / "venv/bin/python"), shutil.which("python3")]
    found = {python: torch_of(python) for python in candidates if python and os.access(python, os.X_OK)}
    right = [python for python, version in found.items() if version == VERSION]
    looked = ", ".join(f"{python} has {version or 'none'}" for python, version in found.items())
    return (right[0], "") if right else (None, f"no Python with PyTorch {VERSION} (RETOUCHD_TORCH_PYTHON names one): {looked}")


PYTHON, REASON = find_python()
needs_torch = pytest.mark.skipif(PYTHON is None, reason=REASON)


def models(daemon):
    return {model["name"]: model for model in map(json.loads, daemon.retouch("models", "--json", check=0).stdout.splitlines())}


def restore(daemon, picture, output, network="student-tiny"):
    client, events = daemon.client(), daemon.events()
    job = client.submit(picture, output=output, preview=False, network=network)
    end = events.wait_for_end(job, 300)
    assert end["kind"] == "done", end
    return pictures.decoded(output)


@pytest.fixture
def picture(tmp_path):
    file = tmp_path / "picture.png"
    file.write_bytes(pictures.encoded(pictures.scene(250, 240, seed=71), ".png"))
    return file


@needs_torch
def test_a_compiled_network_restores_what_the_optimised_one_does(make_daemon, picture, tmp_path):
    daemon = make_daemon(tile=TILE, backend="compiled")
    made = json.loads(daemon.retouch("compile", "student-tiny", "--precision", "fp32", "--device", "cpu", "--python", PYTHON,
                                     "--json", check=0, timeout=900).stdout)
    assert (made["width"], made["height"], made["batch"], made["precision"]) == (256, 256, 1, "fp32"), made
    assert made["torch"] == VERSION and made["optimized_seconds"] > 0 and made["compiled_seconds"] > 0
    assert made["check"]["max_difference"] <= made["check"]["tolerance"]
    listed = json.loads(daemon.retouch("compile", "--list", "--json", check=0).stdout)
    assert listed["file"] == made["file"] and listed["stale"] == ""
    plan = json.loads(daemon.retouch("plan", picture, "--json", check=0).stdout)
    assert plan["backend"]["value"] == "compiled" and "compiled for these tiles" in plan["backend"]["reason"], plan

    daemon.start()
    assert "backend compiled for 256x256 (AOTInductor): asked for" in daemon.log()
    entry = models(daemon)["student-tiny"]
    assert entry["backend"] == "compiled" and "256x256" in entry["backend_reason"], entry
    compiled = restore(daemon, picture, tmp_path / "compiled.png")
    assert daemon.stop() == 0

    # By itself it takes the faster one, and says why.
    daemon.settings["backend"] = "auto"
    daemon.write_config()
    daemon.start()
    assert " ms a tile, batch 1)" in models(daemon)["student-tiny"]["backend_reason"]
    assert daemon.stop() == 0

    daemon.settings["backend"] = "optimized"
    daemon.write_config()
    daemon.start()
    assert models(daemon)["student-tiny"]["backend"] == "optimized"
    optimized = restore(daemon, picture, tmp_path / "optimized.png")
    assert daemon.stop() == 0
    assert np.abs(compiled.astype(int) - optimized.astype(int)).max() <= 1, "they round a number differently at most"

    # A damaged package does no harm.
    daemon.settings["backend"] = "compiled"
    daemon.write_config()
    with open(made["file"], "r+b") as file:
        file.truncate(os.path.getsize(made["file"]) // 2)
    daemon.start()
    assert "is not what it was when it was made" in daemon.log()
    assert models(daemon)["student-tiny"]["backend"] == "optimized"
    again = restore(daemon, picture, tmp_path / "again.png")
    assert np.array_equal(again, optimized)
    assert daemon.stop() == 0


@needs_torch
def test_a_restormer_compiles_from_a_checkpoint(make_daemon, picture, tmp_path):
    folder = tmp_path / "models"
    tensors = {name: tensor for name, tensor in make_networks.restormer(dim=8).items() if not name.endswith("body.bias")}
    make_networks.write_pth(folder / "small.pth", tensors)
    daemon = make_daemon(model_dirs=[str(folder)], tile=TILE, precision="fp32", backend="compiled")
    made = json.loads(daemon.retouch("compile", "small", "--tile", "128x96", "--python", PYTHON, "--json", check=0,
                                     timeout=900).stdout)
    assert (made["width"], made["height"]) == (128, 96)
    assert made["check"]["max_difference"] <= made["check"]["tolerance"]


LAYOUTS = """
import glob, json, sys, types
import torch
from lean_restormer import LeanRestormer
from state_dict import read_weights
errors = {}
for file in glob.glob(sys.argv[1] + "/restormer-*.safetensors"):
    weights = read_weights(file)
    golden = {name: weights.pop(name) for name in list(weights) if name.startswith("golden.")}
    picture = golden["golden.input"]
    pictures = picture.chunk(2, 1) if "skip_conv.weight" in weights else (picture,)
    for depthwise in ("library", "sums"):
        numbers = types.SimpleNamespace(body=torch.float, edges=torch.float, depthwise=depthwise)
        with torch.inference_mode():
            network = LeanRestormer(weights, numbers, 24 if "local" in file else None)
            errors[file + depthwise] = float((network(*pictures) - golden["golden.output"]).abs().max())
print(json.dumps(errors))
"""


@needs_torch
def test_what_is_compiled_computes_every_layout_as_published():
    done = subprocess.run([PYTHON, "-c", LAYOUTS, str(make_networks.GOLDEN)], capture_output=True, text=True, timeout=300,
                          env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(SOURCE / "training")})
    assert done.returncode == 0, done.stderr[-3000:]
    errors = json.loads(done.stdout)
    assert len(errors) == 2 * 7 and max(errors.values()) < 2e-6, errors


def test_what_cannot_be_compiled_says_why(make_daemon, tmp_path):
    daemon = make_daemon(tile=TILE)
    without = tmp_path / "python"
    without.write_text("#!/bin/sh\necho no such thing >&2\nexit 1\n")
    without.chmod(0o755)
    answer = daemon.retouch("compile", "student-tiny", "--python", without, check=5)
    assert "needs Python with PyTorch" in answer.stderr and "no such thing" in answer.stderr, answer.stderr
    answer = daemon.retouch("compile", "student-tiny", "--python", tmp_path / "nowhere", check=5)
    assert "cannot be started" in answer.stderr, answer.stderr
    answer = daemon.retouch("compile", "rgbd-tiny", check=2)
    assert "family rgbd-tiny cannot be compiled yet" in answer.stderr, answer.stderr
    assert "multiples of 8" in daemon.retouch("compile", "student-tiny", "--tile", "100x100", check=2).stderr
    assert "is a size" in daemon.retouch("compile", "student-tiny", "--tile", "large", check=2).stderr
    assert daemon.retouch("compile", "--list", check=0).stdout == ""
