"""What bench/gpu feeds networks with: random weights of published sizes, and a picture. All of it follows from the seed.

As a program it writes them into a folder: `python3 bench/gpu_inputs.py FOLDER [--small]`.
"""

import argparse
import pathlib

import numpy
import torch

from eager_restormer import Restormer, write_safetensors

PICTURE = (1536, 1024)  # width, height

# As published, and as small as a test wants them.
RESTORMER = {"dim": 48, "blocks": (4, 6, 6, 8), "refinement": 4, "heads": (1, 2, 4, 8)}
SMALL_RESTORMER = {"dim": 16, "blocks": (1, 1, 1, 1), "refinement": 1, "heads": (1, 2, 4, 8)}
DRCT = {"embed": 180, "growth": 32, "groups": 6, "window": 16, "heads": 6, "features": 64, "enlargements": 2}
SMALL_DRCT = {"embed": 24, "growth": 8, "groups": 1, "window": 8, "heads": 2, "features": 8, "enlargements": 2}


def restormer(size, seed=1):
    torch.manual_seed(seed)
    return Restormer(**size).eval()


def drct(embed, growth, groups, window, heads, features, enlargements, seed=2):
    """Tensors of a DRCT by the names of its published state dicts, small enough that no sum runs away."""
    generator, tensors = torch.Generator().manual_seed(seed), {}

    def layer(name, out, *fan):
        deviation = 0.5 / numpy.prod(fan) ** 0.5
        tensors[f"{name}.weight"] = torch.randn(out, *fan, generator=generator) * deviation
        tensors[f"{name}.bias"] = torch.randn(out, generator=generator) * 0.01

    def norm(name, channels):
        tensors[f"{name}.weight"] = 1 + 0.1 * torch.randn(channels, generator=generator)
        tensors[f"{name}.bias"] = 0.1 * torch.randn(channels, generator=generator)

    layer("conv_first", embed, 3, 3, 3)
    norm("patch_embed.norm", embed)
    for group in range(groups):
        for stage in range(5):
            width, own = embed + stage * growth, f"layers.{group}.swin{stage + 1}"
            count = heads - width % heads
            hidden = width * (2 if stage < 3 else 1)
            norm(f"{own}.norm1", width)
            norm(f"{own}.norm2", width)
            tensors[f"{own}.attn.relative_position_bias_table"] = 0.1 * torch.randn((2 * window - 1) ** 2, count, generator=generator)
            layer(f"{own}.attn.qkv", 3 * width, width)
            layer(f"{own}.attn.proj", width, width)
            layer(f"{own}.mlp.fc1", hidden, width)
            layer(f"{own}.mlp.fc2", width, hidden)
            layer(f"layers.{group}.adjust{stage + 1}", growth if stage < 4 else embed, width, 1, 1)
    norm("norm", embed)
    layer("conv_after_body", embed, embed, 3, 3)
    layer("conv_before_upsample.0", features, embed, 3, 3)
    for index in range(enlargements):
        layer(f"upsample.{2 * index}", 4 * features, features, 3, 3)
    layer("conv_last", 3, features, 3, 3)
    return tensors


def picture(width, height, seed=3):
    """uint8 [height, width, 3]: shades, discs of all sizes that cover one another, and the grain of a sensor."""
    random = numpy.random.default_rng(seed)
    y, x = numpy.mgrid[:height, :width].astype(numpy.float32)
    pixels = numpy.stack([90 + 70 * x / width, 120 + 40 * y / height, 150 - 50 * x / width], axis=2)
    for radius in numpy.sort(4 / random.uniform(0.02, 1, 400) ** 0.9)[::-1]:
        left, top = random.uniform(0, width), random.uniform(0, height)
        rows = slice(max(0, int(top - radius)), int(top + radius) + 1)
        columns = slice(max(0, int(left - radius)), int(left + radius) + 1)
        inside = (x[rows, columns] - left) ** 2 + (y[rows, columns] - top) ** 2 < radius**2
        pixels[rows, columns][inside] = random.uniform(0, 255, 3) + (x[rows, columns][inside, None] - left) * random.uniform(-1, 1)
    return numpy.clip(pixels + random.normal(0, 8, pixels.shape), 0, 255).astype(numpy.uint8)


def write(folder, small=False):
    """restormer.safetensors, drct.safetensors, picture.rgb"""
    folder.mkdir(parents=True, exist_ok=True)
    write_safetensors(folder / "restormer.safetensors", restormer(SMALL_RESTORMER if small else RESTORMER).state_dict())
    write_safetensors(folder / "drct.safetensors", drct(**(SMALL_DRCT if small else DRCT)))
    picture(*PICTURE).tofile(folder / "picture.rgb")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--small", action="store_true", help="networks for a test")
    arguments = parser.parse_args()
    write(arguments.folder, arguments.small)


if __name__ == "__main__":
    main()
