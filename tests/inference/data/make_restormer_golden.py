#!/usr/bin/env python3
"""Writes the golden files of tests/inference/restormer_golden_test.cpp.

    python3 make_restormer_golden.py PATH/TO/restormer_arch.py

PATH is the authors' own network (https://github.com/swz30/Restormer, basicsr/models/archs/restormer_arch.py); it is run, nothing
of it is kept. It needs PyTorch and einops. Each file is a small network with random weights in the official layout, in fp16 (the
reference computes in fp32 with exactly those), one picture `golden.input` and what the reference makes of it, `golden.output`, both
[1, C, H, W]; the metadata has the local window, if any.

The reference knows neither local attention nor attention between pixels. Those come from the few lines below, written from the
definitions in inference/restormer/attention_windows.h and inference/restormer/restormer_plain.h and put in place of the reference's own attention.
"""

import argparse
import importlib.util
import json
import math
import pathlib
import struct

import torch
import torch.nn.functional as F

SMALL = dict(
    dim=4, num_blocks=[1, 1, 1, 1], num_refinement_blocks=1, heads=[1, 2, 4, 8], ffn_expansion_factor=2.66, bias=False,
    LayerNorm_type="WithBias",
)
# name: (changes to SMALL, height, width, local window, spatial windows)
GOLDEN = {
    "with-bias": (dict(), 24, 40, None, False),
    "bias-free": (dict(LayerNorm_type="BiasFree"), 24, 40, None, False),
    "gray": (dict(LayerNorm_type="BiasFree", inp_channels=1, out_channels=1), 24, 40, None, False),
    "dual-pixel": (dict(inp_channels=6, dual_pixel_task=True), 24, 40, None, False),
    "biases": (dict(bias=True, num_blocks=[1, 2, 1, 1]), 24, 40, None, False),
    "local": (dict(LayerNorm_type="BiasFree"), 40, 56, 24, False),
    "spatial-windows": (dict(), 64, 64, None, True),
}
TYPES = {torch.float16: "F16", torch.float32: "F32"}
SIDE = 8


def load_reference(path):
    spec = importlib.util.spec_from_file_location("restormer_reference", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def channel_attention(attention, qkv):
    batch, channels, height, width = qkv.shape
    q, k, v = qkv.reshape(batch, 3, attention.num_heads, -1, height * width).unbind(1)
    logits = F.normalize(q, dim=-1) @ F.normalize(k, dim=-1).transpose(-2, -1) * attention.temperature
    return (logits.softmax(-1) @ v).reshape(batch, channels // 3, height, width)


def starts(length, side):
    count = math.ceil(length / side)
    stride = math.ceil((length - side) / max(1, count - 1))
    return sorted({min(i * stride, length - side) for i in range(count)})


def use_local_attention(module, network, window):
    """Channel attention within windows of window / 2^level pixels; overlaps are averaged."""

    def patch(attention, side):
        def forward(x):
            qkv = attention.qkv_dwconv(attention.qkv(x))
            height, width = qkv.shape[-2:]
            total, count = torch.zeros_like(x), torch.zeros(1, 1, height, width)
            rows, columns = min(side, height), min(side, width)
            for top in starts(height, rows):
                for left in starts(width, columns):
                    here = (..., slice(top, top + rows), slice(left, left + columns))
                    total[here] += channel_attention(attention, qkv[here])
                    count[here] += 1
            return attention.project_out(total / count)

        attention.forward = forward

    levels = dict(encoder_level1=0, encoder_level2=1, encoder_level3=2, latent=3, decoder_level3=2, decoder_level2=1)
    for name, part in network.named_modules():
        if isinstance(part, module.Attention):
            patch(part, window >> levels.get(name.split(".")[0], 0))


def use_spatial_windows(module, network):
    """Attention between the pixels of 8x8 windows, with a learned bias for each offset."""
    position = torch.arange(SIDE * SIDE)
    row, column = position // SIDE, position % SIDE
    index = (row[:, None] - row + SIDE - 1) * (2 * SIDE - 1) + (column[:, None] - column + SIDE - 1)

    def patch(attention):
        heads = attention.num_heads
        attention.relative_position_bias_table = torch.nn.Parameter(torch.randn((2 * SIDE - 1) ** 2, heads))

        def forward(x):
            batch, channels, height, width = x.shape
            qkv = attention.qkv_dwconv(attention.qkv(x))
            shape = (batch, 3, heads, channels // heads, height // SIDE, SIDE, width // SIDE, SIDE)
            q, k, v = qkv.reshape(shape).permute(1, 0, 4, 6, 2, 5, 7, 3).flatten(5, 6)  # ..., heads, 64, C / heads
            bias = attention.relative_position_bias_table[index].permute(2, 0, 1)
            logits = q @ k.transpose(-2, -1) * attention.temperature / math.sqrt(channels // heads) + bias
            mixed = (logits.softmax(-1) @ v).unflatten(-2, (SIDE, SIDE))  # batch, rows, columns, heads, 8, 8, C / heads
            return attention.project_out(mixed.permute(0, 3, 6, 1, 4, 2, 5).reshape(x.shape))

        attention.forward = forward

    for part in network.modules():
        if isinstance(part, module.Attention):
            patch(part)


def scramble(network):
    """Weights that PyTorch starts with ones or zeros would hide mistakes."""
    with torch.no_grad():
        for name, weight in network.named_parameters():
            if name.endswith("temperature"):
                weight.uniform_(0.5, 2.0)
            elif "norm" in name and name.endswith("weight"):
                weight.uniform_(0.6, 1.4)
            elif "norm" in name:
                weight.uniform_(-0.3, 0.3)
            weight.copy_(weight.half())


def write_safetensors(path, tensors, metadata):
    header, data = {"__metadata__": metadata}, b""
    for name, tensor in tensors.items():
        content = tensor.detach().contiguous().numpy().tobytes()
        header[name] = dict(
            dtype=TYPES[tensor.dtype], shape=list(tensor.shape), data_offsets=[len(data), len(data) + len(content)]
        )
        data += content
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    path.write_bytes(struct.pack("<Q", len(text)) + text + data)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("reference", type=pathlib.Path)
    parser.add_argument("--output", type=pathlib.Path, default=pathlib.Path(__file__).parent / "golden")
    arguments = parser.parse_args()
    module = load_reference(arguments.reference)
    torch.set_num_threads(1)
    arguments.output.mkdir(exist_ok=True)
    for number, (name, (changes, height, width, window, spatial)) in enumerate(GOLDEN.items()):
        torch.manual_seed(number)
        network = module.Restormer(**{**SMALL, **changes}).eval()
        if window:
            use_local_attention(module, network, window)
        if spatial:
            use_spatial_windows(module, network)
        scramble(network)
        coarse = torch.rand(1, changes.get("inp_channels", 3), height // 8, width // 8)
        picture = F.interpolate(coarse, size=(height, width), mode="bilinear")
        picture = (picture + 0.1 * torch.randn_like(picture)).clamp(0, 1).half().float()
        with torch.inference_mode():
            restored = network(picture)
        tensors = {key: weight.half() for key, weight in network.state_dict().items()}
        tensors.update({"golden.input": picture.half(), "golden.output": restored})
        metadata = {"local_window": str(window)} if window else {}
        write_safetensors(arguments.output / f"restormer-{name}.safetensors", tensors, metadata)


if __name__ == "__main__":
    main()
