"""Makes the files that tests/inference/drct_test.cpp compares DRCT with.

    python make_drct_golden.py nearest                       golden/drct-nearest-x4.safetensors
    python make_drct_golden.py goldens --reference DRCT_arch.py    golden/drct-{x2,x3,x4}.safetensors

`nearest` needs nothing but torch: it arranges the weights of a small DRCT so that every branch adds zero and each output pixel is
the input pixel below it. End-to-end tests thereby know what the x4 network must answer.

`goldens` runs the authors' network (github.com/ming053l/DRCT, drct/archs/DRCT_arch.py; MIT), of which nothing is kept here but
numbers: random weights, a random picture, and what the network makes of it. Its only outside imports are a registry decorator and
two one-liners, which are stubbed. It writes `num_feat = 64` where the other sizes are arguments; that one number is replaced in
the text before it is executed, else the upsampler alone would be larger than a test file should be. Weights are rounded to fp16
first, so that file and computation agree; everything is computed in fp64.

In the goldens, picture and result are the tensors `golden.input` and `golden.output`, [1, 3, H, W] fp32.
"""

import argparse
import math
import os
import sys
import types

import torch
from safetensors.torch import save_file

FOLDER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "golden")

# Small enough for a test, and together they meet every way in which the sizes of a DRCT can differ: one head and several, head
# dimensions that are and are not multiples of 8, wider and equal MLPs, qkv with and without bias, all upsamplers.
GOLDENS = {
    "drct-x4": dict(upscale=4, groups=1, embed_dim=24, gc=5, num_heads=6, window_size=8, mlp_ratio=2, num_feat=8, size=(16, 16)),
    "drct-x3": dict(upscale=3, groups=1, embed_dim=18, gc=6, num_heads=3, window_size=4, mlp_ratio=2, num_feat=6, size=(12, 20),
                    qkv_bias=False),
    "drct-x2": dict(upscale=2, groups=2, embed_dim=12, gc=6, num_heads=6, window_size=8, mlp_ratio=1.5, num_feat=8, size=(24, 16)),
}


def load_reference(path, num_feat=64):
    """The class DRCT of the authors' file."""

    class Registry:
        @staticmethod
        def register():
            return lambda cls: cls

    stubs = {
        "basicsr.utils.registry": dict(ARCH_REGISTRY=Registry),
        "basicsr.archs.arch_util": dict(
            to_2tuple=lambda x: x if isinstance(x, tuple) else (x, x), trunc_normal_=torch.nn.init.trunc_normal_),
        "einops": dict(rearrange=None),
    }
    for name, contents in stubs.items():
        sys.modules[name] = types.ModuleType(name)
        sys.modules[name].__dict__.update(contents)
    with open(path, encoding="utf-8") as file:
        source = file.read()
    assert source.count("num_feat = 64") == 1, "this is another version of DRCT_arch.py"
    scope = {"__name__": "drct_reference"}
    exec(compile(source.replace("num_feat = 64", f"num_feat = {num_feat}"), path, "exec"), scope)
    return scope["DRCT"]


def build_reference(path, groups, num_heads, num_feat=64, **sizes):
    network = load_reference(path, num_feat)(
        depths=(6,) * groups, num_heads=(num_heads,) * groups, upsampler="pixelshuffle", resi_connection="1conv", **sizes)
    return network.eval()


def randomize(network, seed):
    """Weights with which every operation matters: attention far from uniform, no bias zero, activations of ordinary size.

    What is added to the mean colour in the end is as small as detail is in pictures: tolerances are about pictures."""
    generator = torch.Generator().manual_seed(seed)
    for name, tensor in network.named_parameters():
        noise = torch.randn(tensor.shape, generator=generator)
        with torch.no_grad():
            if "norm" in name and name.endswith("weight"):
                tensor.copy_(1 + 0.2 * noise)
            elif name.endswith("bias_table"):
                tensor.copy_(noise)
            elif name.endswith("bias"):
                tensor.copy_(0.1 * noise)
            else:
                tensor.copy_(noise / math.sqrt(tensor[0].numel()) * (0.1 if name.startswith("conv_last") else 1))


def parameters_of(network):
    return {name: tensor.detach().half().contiguous() for name, tensor in network.named_parameters()}


def save_whole(tensors, path, metadata):
    """Readers see the old file or the new one, never half of it."""
    save_file(tensors, path + ".part", metadata)
    os.chmod(path + ".part", 0o644)
    os.replace(path + ".part", path)
    print(path, os.path.getsize(path))


def make_golden(name, reference, seed, *, size, **sizes):
    network = build_reference(reference, **sizes)
    randomize(network, seed)
    tensors = parameters_of(network)
    network.load_state_dict({name: tensor.float() for name, tensor in tensors.items()}, strict=False)
    picture = torch.rand(1, 3, *size, generator=torch.Generator().manual_seed(seed))
    with torch.no_grad():
        tensors["golden.output"] = network.double()(picture.double()).float().contiguous()
    tensors["golden.input"] = picture
    save_whole(tensors, os.path.join(FOLDER, name + ".safetensors"), {"arch": "drct", "task": "super-resolution"})


def nearest_weights(embed=12, gc=6, heads=2, window=8, num_feat=6, doublings=2):
    """Weights of a DRCT that repeats every pixel 2^doublings times along both axes."""
    tensors = {}

    def linear(name, rows, columns):
        tensors[name + ".weight"] = torch.zeros(rows, columns)
        tensors[name + ".bias"] = torch.zeros(rows)

    def convolution(name, rows, columns, side=3):
        tensors[name + ".weight"] = torch.zeros(rows, columns, side, side)
        tensors[name + ".bias"] = torch.zeros(rows)

    def norm(name, channels):
        tensors[name + ".weight"] = torch.ones(channels)
        tensors[name + ".bias"] = torch.zeros(channels)

    def centre(name):
        return tensors[name + ".weight"][:, :, 1, 1]

    convolution("conv_first", embed, 3)
    norm("patch_embed.norm", embed)
    for k in range(5):
        dim, hidden = embed + k * gc, (embed + k * gc) * (2 if k < 3 else 1)
        block = f"layers.0.swin{k + 1}"
        norm(block + ".norm1", dim)
        norm(block + ".norm2", dim)
        tensors[block + ".attn.relative_position_bias_table"] = torch.zeros((2 * window - 1) ** 2, heads)
        linear(block + ".attn.qkv", 3 * dim, dim)
        linear(block + ".attn.proj", dim, dim)
        linear(block + ".mlp.fc1", hidden, dim)
        linear(block + ".mlp.fc2", dim, hidden)
        convolution(f"layers.0.adjust{k + 1}", gc if k < 4 else embed, dim, side=1)
    norm("norm", embed)
    convolution("conv_after_body", embed, embed)
    convolution("conv_before_upsample.0", num_feat, embed)
    for k in range(doublings):
        convolution(f"upsample.{2 * k}", 4 * num_feat, num_feat)
    convolution("conv_last", 3, num_feat)

    # The body answers zero (conv_after_body), so the features are those of conv_first: a colour each, less its mean. The
    # LeakyReLU scales negative values by 0.01. With x and -x side by side, leaky(x) - leaky(-x) = 1.01 x whatever the sign.
    for colour in range(3):
        centre("conv_first")[colour, colour] = 1
        centre("conv_before_upsample.0")[2 * colour, colour] = 1
        centre("conv_before_upsample.0")[2 * colour + 1, colour] = -1
        for place in range(4):  # a pixel shuffle makes channels 4c..4c+3 the four pixels of channel c
            centre("upsample.0")[4 * colour + place, 2 * colour] = 1
            centre("upsample.0")[4 * colour + place, 2 * colour + 1] = -1
            for k in range(1, doublings):
                centre(f"upsample.{2 * k}")[4 * colour + place, colour] = 1
        centre("conv_last")[colour, colour] = 1 / 1.01
    return tensors


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=("nearest", "goldens"))
    parser.add_argument("--reference", help="the authors' DRCT_arch.py")
    options = parser.parse_args()
    os.makedirs(FOLDER, exist_ok=True)
    if options.what == "nearest":
        # 1/1.01 is not a number of fp16, all others are.
        tensors = {name: tensor if name == "conv_last.weight" else tensor.half() for name, tensor in nearest_weights().items()}
        save_whole(tensors, os.path.join(FOLDER, "drct-nearest-x4.safetensors"),
                   {"arch": "drct", "task": "super-resolution", "license": "Apache-2.0"})
        return
    if not options.reference:
        parser.error("goldens need --reference")
    for seed, (name, sizes) in enumerate(GOLDENS.items()):
        make_golden(name, options.reference, seed, **sizes)


if __name__ == "__main__":
    main()
