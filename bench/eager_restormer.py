"""Restormer as one writes it in PyTorch, from the paper: the peer that restormer_forward is compared with.

As a program it does what restormer_forward does, with the same options and the same measurements, in PyTorch's eager mode.
"""

import argparse
import json
import pathlib
import resource
import time

import numpy
import torch
import torch.nn.functional as F
from torch import nn


class Norm(nn.Module):
    """Per pixel over the channels, with bias."""

    def __init__(self, dim):
        super().__init__()
        self.body = nn.Module()
        self.body.weight = nn.Parameter(torch.ones(dim))
        self.body.bias = nn.Parameter(torch.zeros(dim))

    def forward(self, x):
        batch, channels, height, width = x.shape
        tokens = x.flatten(2).transpose(1, 2)
        tokens = F.layer_norm(tokens, (channels,), self.body.weight, self.body.bias)
        return tokens.transpose(1, 2).reshape(batch, channels, height, width)


class Attention(nn.Module):
    def __init__(self, dim, heads):
        super().__init__()
        self.heads = heads
        self.temperature = nn.Parameter(torch.ones(heads, 1, 1))
        self.qkv = nn.Conv2d(dim, 3 * dim, 1, bias=False)
        self.qkv_dwconv = nn.Conv2d(3 * dim, 3 * dim, 3, padding=1, groups=3 * dim, bias=False)
        self.project_out = nn.Conv2d(dim, dim, 1, bias=False)

    def forward(self, x):
        q, k, v = (part.unflatten(1, (self.heads, -1)).flatten(3) for part in self.qkv_dwconv(self.qkv(x)).chunk(3, dim=1))
        attention = (F.normalize(q, dim=-1) @ F.normalize(k, dim=-1).transpose(-2, -1) * self.temperature).softmax(dim=-1)
        return self.project_out((attention @ v).reshape(x.shape))


class FeedForward(nn.Module):
    def __init__(self, dim, expansion):
        super().__init__()
        hidden = int(dim * expansion)
        self.project_in = nn.Conv2d(dim, 2 * hidden, 1, bias=False)
        self.dwconv = nn.Conv2d(2 * hidden, 2 * hidden, 3, padding=1, groups=2 * hidden, bias=False)
        self.project_out = nn.Conv2d(hidden, dim, 1, bias=False)

    def forward(self, x):
        gate, value = self.dwconv(self.project_in(x)).chunk(2, dim=1)
        return self.project_out(F.gelu(gate) * value)


class Block(nn.Module):
    def __init__(self, dim, heads, expansion):
        super().__init__()
        self.norm1, self.attn = Norm(dim), Attention(dim, heads)
        self.norm2, self.ffn = Norm(dim), FeedForward(dim, expansion)

    def forward(self, x):
        x = x + self.attn(self.norm1(x))
        return x + self.ffn(self.norm2(x))


def resample(dim, out, shuffle):
    return nn.ModuleDict({"body": nn.Sequential(nn.Conv2d(dim, out, 3, padding=1, bias=False), shuffle(2))})


class Restormer(nn.Module):
    def __init__(self, dim=48, blocks=(4, 6, 6, 8), refinement=4, heads=(1, 2, 4, 8), expansion=2.66):
        super().__init__()

        def stage(width, count, head):
            return nn.Sequential(*(Block(width, head, expansion) for _ in range(count)))

        self.patch_embed = nn.ModuleDict({"proj": nn.Conv2d(3, dim, 3, padding=1, bias=False)})
        self.encoder_level1 = stage(dim, blocks[0], heads[0])
        self.encoder_level2 = stage(2 * dim, blocks[1], heads[1])
        self.encoder_level3 = stage(4 * dim, blocks[2], heads[2])
        self.latent = stage(8 * dim, blocks[3], heads[3])
        self.down1_2 = resample(dim, dim // 2, nn.PixelUnshuffle)
        self.down2_3 = resample(2 * dim, dim, nn.PixelUnshuffle)
        self.down3_4 = resample(4 * dim, 2 * dim, nn.PixelUnshuffle)
        self.up4_3 = resample(8 * dim, 16 * dim, nn.PixelShuffle)
        self.up3_2 = resample(4 * dim, 8 * dim, nn.PixelShuffle)
        self.up2_1 = resample(2 * dim, 4 * dim, nn.PixelShuffle)
        self.reduce_chan_level3 = nn.Conv2d(8 * dim, 4 * dim, 1, bias=False)
        self.reduce_chan_level2 = nn.Conv2d(4 * dim, 2 * dim, 1, bias=False)
        self.decoder_level3 = stage(4 * dim, blocks[2], heads[2])
        self.decoder_level2 = stage(2 * dim, blocks[1], heads[1])
        self.decoder_level1 = stage(2 * dim, blocks[0], heads[0])
        self.refinement = stage(2 * dim, refinement, heads[0])
        self.output = nn.Conv2d(2 * dim, 3, 3, padding=1, bias=False)

    def forward(self, picture):
        first = self.encoder_level1(self.patch_embed["proj"](picture))
        second = self.encoder_level2(self.down1_2["body"](first))
        third = self.encoder_level3(self.down2_3["body"](second))
        x = self.latent(self.down3_4["body"](third))
        x = self.decoder_level3(self.reduce_chan_level3(torch.cat([self.up4_3["body"](x), third], 1)))
        x = self.decoder_level2(self.reduce_chan_level2(torch.cat([self.up3_2["body"](x), second], 1)))
        x = self.decoder_level1(torch.cat([self.up2_1["body"](x), first], 1))
        return self.output(self.refinement(x)) + picture


def write_safetensors(path, tensors):
    header, offset = {}, 0
    for name, tensor in tensors.items():
        size = tensor.numel() * 4
        header[name] = {"dtype": "F32", "shape": list(tensor.shape), "data_offsets": [offset, offset + size]}
        offset += size
    text = json.dumps(header).encode()
    with open(path, "wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for tensor in tensors.values():
            file.write(tensor.detach().contiguous().numpy().tobytes())


def read_safetensors(path):
    content = pathlib.Path(path).read_bytes()
    start = 8 + int.from_bytes(content[:8], "little")
    tensors = {}
    for name, entry in json.loads(content[8:start]).items():
        begin, end = (start + offset for offset in entry["data_offsets"])
        numbers = numpy.frombuffer(content[begin:end], numpy.float32).copy()
        tensors[name] = torch.from_numpy(numbers).reshape(entry["shape"])
    return tensors


def memory(key):
    for line in pathlib.Path("/proc/self/status").read_text().splitlines():
        if line.startswith(key):
            return int(line.split()[1]) * 1024
    return 0


def cpu_seconds():
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--weights", required=True)
    parser.add_argument("--input", required=True)
    parser.add_argument("--output")
    parser.add_argument("--precision", default="fp32", choices=["fp32", "bf16"])
    parser.add_argument("--height", type=int, default=256)
    parser.add_argument("--width", type=int, default=256)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--repeat", type=int, default=1)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    kind = torch.bfloat16 if arguments.precision == "bf16" else torch.float32
    network = Restormer().eval()
    network.load_state_dict(read_safetensors(arguments.weights))
    network = network.to(kind)
    pixels = numpy.fromfile(arguments.input, numpy.float32).reshape(1, arguments.height, arguments.width, 3)
    picture = torch.from_numpy(pixels).permute(0, 3, 1, 2).contiguous().to(kind)
    with torch.inference_mode():
        network(torch.rand(1, 3, 8, 8, dtype=kind))
        before = memory("VmRSS:")
        pathlib.Path("/proc/self/clear_refs").write_text("5")
        seconds, cpu = [], []
        for _ in range(arguments.repeat):
            start, cpu_start = time.perf_counter(), cpu_seconds()
            restored = network(picture)
            seconds.append(time.perf_counter() - start)
            cpu.append(cpu_seconds() - cpu_start)
        highest = memory("VmHWM:")
    if arguments.output:
        restored.float().permute(0, 2, 3, 1).contiguous().numpy().tofile(arguments.output)
    print(json.dumps({"seconds": seconds, "cpu_seconds": cpu, "bytes": highest - before}))


if __name__ == "__main__":
    main()
