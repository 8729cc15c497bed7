"""Writes the model card beside the weights. Every figure in it is read from the files or measured here."""

import argparse
import json
import os

import cv2
import torch
from safetensors import safe_open

from evaluate import report
from export import load_network, sha256_of

CARD = """# student-tiny: the built-in denoising network of retouchd

Removes noise and mild JPEG traces from photographs, blind (it is not told how noisy they are), at the same size.
{parameters:,} parameters, {macs:.1f} thousand multiply-adds per pixel, {kilobytes:.0f} kB in fp16.

* Input and output: `[N, 3, H, W]` RGB in [0, 1], sRGB-encoded as stored in the file, sides multiples of {multiple}. Gray
  pictures go in as three equal channels. The output is not clamped.
* Receptive field: {receptive_field} px each way. No operation looks at the whole picture, so tiles with a halo of 40 px
  whose origins are multiples of 8 give exactly the whole picture's result.
* Layout: `training/network.py`; golden input and output in `student-tiny.golden.safetensors` (fp32, computed from the
  fp16 weights).
* Licence: Apache-2.0. Weights sha256 `{weights_sha256}`.

## Measured

On the two held-out photographs (astronaut 512x512, chelsea 448x296), mean PSNR in dB, Gaussian noise clipped and
rounded to 8 bits. "Best h" picks the best of 14 strengths per photograph and sigma with the clean picture at hand; the
network gets no such help. Command: `python training/evaluate.py models/student-tiny.safetensors`

{report}
## Recipe

{minutes} minutes on {threads} CPU thread, {steps:,} steps, seed {seed}: `student-tiny.recipe.json` (sha256
`{recipe_sha256}`), log in `student-tiny.log`. How to repeat it: `training/README.md`.

Half of the crops are drawn scenes (dead leaves, skies, text, hair, window frames; `training/pictures.py`), half are
photographs from the scikit-image 0.26.0 wheel, reduced to 0.5 and 0.3 of their size by an area filter. Noise:
Poisson-Gaussian with sigma up to 55, in three of ten pictures partly shared by the channels; JPEG quality 30-95 in two
of five; one in twenty left clean. Blur and tone changes belong to the target: the network does not sharpen.

## Photographs and their rights

As stated in the documentation of `skimage.data`. Used for training only; not part of this repository.

| file | what | rights |
|---|---|---|
| rocket.jpg | DSCOVR launch, SpaceX | released into the public domain |
| hubble_deep_field.jpg | Hubble eXtreme Deep Field, NASA | public domain |
| coffee.png | coffee cup, Rachel Michetti | CC0 |
| retina.jpg | human retina, Mikael Häggström | CC0 |
| ihc.png | immunohistochemistry, CMMI | no known copyright restrictions |
| camera.png | man with a camera, Lav Varshney | CC0 |
| brick.png | brick wall, CC0Textures | CC0 |
| grass.png | grass, linolafett on DeviantArt | CC0 |
| gravel.png | gravel, CC0Textures | CC0 |
| cell.png | cell in saline, Paul Müller et al. | CC0 |
| coins.png | Greek coins, Brooklyn Museum | no known copyright restrictions |
| clock_motion.png | clock, Stefan van der Walt | released into the public domain |
| text.png | text, Wikipedia | public domain, no known restrictions |
| astronaut.png | Eileen Collins, NASA; **held out** | public domain, no known restrictions |
| chelsea.png | cat, Stefan van der Walt; **held out** | CC0 |

The motorcycle pair of the wheel was left out, as no licence is stated for it.

## Limits

* Trained on Gaussian and Poisson noise that is independent from pixel to pixel and at most sigma 55. Noise with a grain
  of several pixels (strong in-camera processing, enlarged pictures, scanned film) and heavier noise are removed less
  well: see "outside of what was trained" above.
* Fine texture near the level of the noise becomes smoother.
* It sees 39 px each way, so broad blotches of colour stay.
* Two test photographs are few: take the figures as a check against mistakes, not as a ranking of methods.
"""


def multiply_adds_per_pixel(network, size=64):
    total = 0

    def count(module, _, output):
        nonlocal total
        total += output.numel() * module.weight[0].numel()

    hooks = [module.register_forward_hook(count) for module in network.modules() if isinstance(module, torch.nn.Conv2d)]
    with torch.no_grad():
        network(torch.rand(1, 3, size, size))
    for hook in hooks:
        hook.remove()
    return total / size ** 2


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", required=True, help="folder with student-tiny.*")
    target = os.path.join(parser.parse_args().models, "student-tiny")
    torch.set_num_threads(1)
    cv2.setNumThreads(1)

    weights = target + ".safetensors"
    network = load_network(weights)
    with safe_open(weights, "pt") as file:
        metadata = file.metadata()
    with open(target + ".recipe.json") as file:
        recipe = json.load(file)
    text, passed = report(network)
    card = CARD.format(
        parameters=sum(parameter.numel() for parameter in network.parameters()),
        macs=multiply_adds_per_pixel(network) / 1000, kilobytes=os.path.getsize(weights) / 1000,
        multiple=metadata["multiple"], receptive_field=metadata["receptive_field"], weights_sha256=sha256_of(weights),
        report=text, minutes=metadata["training_minutes"], threads=recipe["threads"],
        steps=int(metadata["training_steps"]), seed=recipe["seed"], recipe_sha256=metadata["recipe_sha256"])
    with open(target + ".md", "w") as file:
        file.write(card)
    print(text)
    raise SystemExit(0 if passed else 1)


if __name__ == "__main__":
    main()
