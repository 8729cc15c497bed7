"""Turns a checkpoint into the files the daemon reads: fp16 weights and a golden pair of tensors.

The golden output is computed in fp32 from the rounded weights, as the daemon computes it.
"""

import argparse
import hashlib
import os

import numpy as np
import torch
from safetensors.torch import load_file, save_file

from network import BLOCKS, MULTIPLE, WIDTH, StudentTiny, receptive_field
from pictures import ScenePainter

GOLDEN_SEED = 7
GOLDEN_SIGMA = 25 / 255


def sha256_of(path):
    with open(path, "rb") as file:
        return hashlib.sha256(file.read()).hexdigest()


def load_network(path):
    """The network of a .safetensors file in fp32."""
    network = StudentTiny()
    network.load_state_dict({name: tensor.float() for name, tensor in load_file(path).items()})
    return network.eval()


def golden_input():
    """A drawn scene [1, 3, 64, 64] with noise of sigma 25."""
    scene = torch.from_numpy(ScenePainter(GOLDEN_SEED).paint()[:64, :64].copy()).permute(2, 0, 1)[None].float() / 255
    noise = torch.from_numpy(np.random.default_rng(GOLDEN_SEED).normal(0, GOLDEN_SIGMA, scene.shape)).float()
    return (((scene + noise).clamp(0, 1) * 255).round() / 255).contiguous()


def save_whole(tensors, path, metadata):
    """Readers see the old file or the new one, never half of it."""
    save_file(tensors, path + ".part", metadata)
    os.chmod(path + ".part", 0o644)
    os.replace(path + ".part", path)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--run", required=True, help="folder written by train.py")
    parser.add_argument("--models", required=True, help="folder for student-tiny.*")
    options = parser.parse_args()

    checkpoint = torch.load(os.path.join(options.run, "checkpoint.pt"), weights_only=True)
    weights = {name: value.detach().half().contiguous() for name, value in checkpoint["average"].items()}
    if not all(value.isfinite().all() for value in weights.values()):
        raise SystemExit("some weights are not finite: train again")
    network = StudentTiny().double()
    network.load_state_dict({name: value.double() for name, value in weights.items()})

    recipe_path = os.path.join(options.run, "recipe.json")
    metadata = {
        "arch": "student-tiny", "task": "denoise", "scale": "1", "width": str(WIDTH),
        "blocks": ",".join(map(str, BLOCKS)), "multiple": str(MULTIPLE),
        "receptive_field": str(receptive_field(network)), "license": "Apache-2.0",
        "trained_by": "retouchd training/train.py", "training_minutes": f"{checkpoint['elapsed'] / 60:.1f}",
        "training_steps": str(checkpoint["step"]), "recipe_sha256": sha256_of(recipe_path),
    }
    target = os.path.join(options.models, "student-tiny")
    save_whole(weights, target + ".safetensors", metadata)

    with torch.no_grad():
        given = golden_input()
        golden = {"input": given, "output": load_network(target + ".safetensors")(given)}
    save_whole(golden, target + ".golden.safetensors", {"weights_sha256": sha256_of(target + ".safetensors")})

    for source, suffix in (("recipe.json", ".recipe.json"), ("train.log", ".log")):
        with open(os.path.join(options.run, source)) as file, open(target + suffix, "w") as copy:
            copy.write(file.read())
    print(metadata)


if __name__ == "__main__":
    main()
