"""Turns a checkpoint into the files the daemon reads: fp16 weights and golden tensors.

The golden output is computed in fp32 from the rounded weights, as the daemon computes it.
"""

import argparse
import hashlib
import os

import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from tasks import TASKS


def sha256_of(path):
    with open(path, "rb") as file:
        return hashlib.sha256(file.read()).hexdigest()


def load_network(path):
    """The network of a .safetensors file in fp32."""
    with safe_open(path, "pt") as file:
        metadata = file.metadata()
    network = TASKS[metadata.get("network", metadata["arch"])].make_network()
    network.load_state_dict({name: tensor.float() for name, tensor in load_file(path).items()})
    return network.eval()


def save_whole(tensors, path, metadata):
    """Readers see the old file or the new one, never half of it."""
    save_file(tensors, path + ".part", metadata)
    os.chmod(path + ".part", 0o644)
    os.replace(path + ".part", path)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--run", required=True, help="folder written by train.py")
    parser.add_argument("--models", required=True, help="folder for the weights, named after the network")
    options = parser.parse_args()

    checkpoint = torch.load(os.path.join(options.run, "checkpoint.pt"), weights_only=True)
    task = TASKS[checkpoint["arch"]]
    weights = {name: value.detach().half().contiguous() for name, value in checkpoint["average"].items()}
    if not all(value.isfinite().all() for value in weights.values()):
        raise SystemExit("some weights are not finite: train again")
    network = task.make_network().double()
    network.load_state_dict({name: value.double() for name, value in weights.items()})

    metadata = {
        "arch": task.NAME, "network": task.NAME, **task.metadata(network), "license": "Apache-2.0",
        "trained_by": "retouchd training/train.py", "training_minutes": f"{checkpoint['elapsed'] / 60:.1f}",
        "training_steps": str(checkpoint["step"]), "recipe_sha256": sha256_of(os.path.join(options.run, "recipe.json")),
    }
    target = os.path.join(options.models, task.NAME)
    save_whole(weights, target + ".safetensors", metadata)

    golden = task.golden()
    with torch.no_grad():
        golden["output"] = task.answer(load_network(target + ".safetensors"), golden).contiguous()
    save_whole(golden, target + ".golden.safetensors", {"weights_sha256": sha256_of(target + ".safetensors")})

    for source, suffix in (("recipe.json", ".recipe.json"), ("train.log", ".log")):
        with open(os.path.join(options.run, source)) as file, open(target + suffix, "w") as copy:
            copy.write(file.read())
    print(metadata)


if __name__ == "__main__":
    main()
