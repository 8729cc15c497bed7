"""Writes the model card beside the weights. Every figure in it is read from the files or measured here.

The words are in <network>.card.md.
"""

import argparse
import json
import os

import cv2
import torch
from safetensors import safe_open

from evaluate import REPORTS, report
from export import load_network, sha256_of
from tasks import TASKS


def multiply_adds_per_pixel(network, task):
    total = 0

    def count(module, _, output):
        nonlocal total
        total += output.numel() * module.weight[0].numel()

    hooks = [module.register_forward_hook(count) for module in network.modules() if isinstance(module, torch.nn.Conv2d)]
    golden = task.golden()
    with torch.no_grad():
        task.answer(network, golden)
    for hook in hooks:
        hook.remove()
    return total / golden["input"][:, 0].numel()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--network", choices=REPORTS, default="student-tiny")
    parser.add_argument("--models", required=True, help="folder with the exported files")
    options = parser.parse_args()
    target = os.path.join(options.models, options.network)
    torch.set_num_threads(1)
    cv2.setNumThreads(1)

    weights = target + ".safetensors"
    network = load_network(weights)
    with safe_open(weights, "pt") as file:
        metadata = file.metadata()
    with open(target + ".recipe.json") as file:
        recipe = json.load(file)
    with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), options.network + ".card.md")) as file:
        words = file.read()
    text, passed = report(weights)
    card = words.format(
        parameters=sum(parameter.numel() for parameter in network.parameters()),
        macs=multiply_adds_per_pixel(network, TASKS[options.network]) / 1000, kilobytes=os.path.getsize(weights) / 1000,
        multiple=metadata["multiple"], receptive_field=metadata["receptive_field"], weights_sha256=sha256_of(weights),
        report=text, minutes=metadata["training_minutes"], threads=recipe["threads"],
        steps=int(metadata["training_steps"]), seed=recipe["seed"], recipe_sha256=metadata["recipe_sha256"])
    with open(target + ".md", "w") as file:
        file.write(card)
    print(text)
    raise SystemExit(0 if passed else 1)


if __name__ == "__main__":
    main()
