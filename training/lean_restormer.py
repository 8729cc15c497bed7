"""Restormer for a compiler: what the daemon's own optimised path computes, written so that PyTorch's compiler can fuse it.

Maps are [N, H, W, C] inside. The maps that blocks add to are fp32; between two sums everything is in the type of the body.

* Norms: their weights are folded into the 1x1 convolution that follows; mean and variance are fp32.
* Attention between channels needs sums over pixels only (q k^T and the lengths of q and k, fp32). What follows is linear
  in v: x += M v with M = Wproj * blockdiag(softmax(...)), one matrix for each picture, or each local window.
* Hidden channels (127, 255, ...) are padded with zeros to multiples of 16.
* A 3x3 depthwise convolution is either the library's or nine shifted sums, which the compiler fuses with what follows it
  (`depthwise`: "library", "sums"); which is faster depends on the machine.

Sizes and variants come from the shapes: any width, blocks, heads and hidden sizes, norms with and without bias, biased
convolutions, gray, dual pixel, local windows, attention between the pixels of 8x8 windows.
"""

import torch
from torch import nn
from torch.nn import functional as F

NORM_EPSILON = 1e-5
LENGTH_EPSILON = 1e-12
HIDDEN_MULTIPLE = 16
WINDOW = 8


def is_restormer(weights):
    return all(name in weights for name in ("patch_embed.proj.weight", "encoder_level1.0.attn.temperature", "output.weight",
                                            "latent.0.attn.temperature", "refinement.0.attn.temperature"))


class Table:
    """Takes tensors out of a state dict by name, so that what is left over can be told."""

    def __init__(self, weights):
        self.left = dict(weights)

    def take(self, name):
        if name not in self.left:
            raise ValueError(f"tensor `{name}` is missing")
        return self.left.pop(name)

    def may_take(self, name):
        return self.left.pop(name, None)

    def count(self, stage):
        return 1 + max((int(name.split(".")[1]) for name in self.left if name.startswith(stage + ".")), default=-1)


def channels_last(x):
    """[N, H, W, C] -> what the library's convolutions take without copying."""
    return x.permute(0, 3, 1, 2)


class Convolution(nn.Module):
    """3x3 over [N, H, W, C]."""

    def __init__(self, table, name, body):
        super().__init__()
        self.weight = nn.Buffer(table.take(name + ".weight").to(body).contiguous(memory_format=torch.channels_last))
        bias = table.may_take(name + ".bias")
        self.bias = None if bias is None else nn.Buffer(bias.to(body))

    def forward(self, x):
        return F.conv2d(channels_last(x).to(self.weight.dtype), self.weight, self.bias, padding=1).permute(0, 2, 3, 1)


def padded_halves(x, by, halves=2):
    """Zeros behind each half of the first dimension."""
    if x is None or by == 0:
        return x
    zeros = x.new_zeros((by, *x.shape[1:]))
    return torch.cat([piece for half in x.chunk(halves) for piece in (half, zeros)])


class Expansion(nn.Module):
    """norm, 1x1 to many channels, 3x3 depthwise."""

    def __init__(self, table, norm, pointwise, depthwise, pad, numbers):
        super().__init__()
        weight, bias = table.take(pointwise + ".weight").flatten(1), table.may_take(pointwise + ".bias")
        scale, shift = table.take(norm + ".body.weight"), table.may_take(norm + ".body.bias")
        self.centred = shift is not None
        if shift is not None:
            bias = weight @ shift + (0 if bias is None else bias)
        weight = weight * scale
        taps, taps_bias = table.take(depthwise + ".weight"), table.may_take(depthwise + ".bias")
        weight, bias, taps, taps_bias = (padded_halves(x, pad) for x in (weight, bias, taps, taps_bias))
        body = numbers.body
        self.body, self.by_library = body, numbers.depthwise == "library"
        self.weight, self.bias = nn.Buffer(weight.to(body)), None if bias is None else nn.Buffer(bias.to(body))
        self.taps_bias = None if taps_bias is None else nn.Buffer(taps_bias.to(body if self.by_library else torch.float))
        if self.by_library:
            self.taps = nn.Buffer(taps.to(body).contiguous(memory_format=torch.channels_last))
        else:
            self.taps = nn.Buffer(taps.flatten(1).t().contiguous())  # [9, C] fp32

    def forward(self, x):
        mean = x.mean(-1, keepdim=True)
        centred = x - mean
        scale = (centred.square().mean(-1, keepdim=True) + NORM_EPSILON).rsqrt()
        y = F.linear(((centred if self.centred else x) * scale).to(self.body), self.weight, self.bias)
        if self.by_library:
            return F.conv2d(channels_last(y), self.taps, self.taps_bias, padding=1,
                            groups=len(self.taps)).permute(0, 2, 3, 1)
        height, width = y.shape[1:3]
        y = F.pad(y, (0, 0, 1, 1, 1, 1))
        parts = [y[:, i // 3:i // 3 + height, i % 3:i % 3 + width].float() * self.taps[i] for i in range(9)]
        total = sum(parts[1:], parts[0])
        return total if self.taps_bias is None else total + self.taps_bias


def window_starts(length, side):
    strides = -(-length // side) - 1
    if strides == 0:
        return [0]
    stride = -(-(length - side) // strides)
    return [min(i * stride, length - side) for i in range(strides + 1)]


class ChannelAttention(nn.Module):
    """[C/heads, C/heads] maps for each head and picture, or for each local window of a side."""

    def __init__(self, table, name, heads, side, numbers):
        super().__init__()
        self.expand = Expansion(table, name + ".norm1", name + ".attn.qkv", name + ".attn.qkv_dwconv", 0, numbers)
        self.heads, self.side, self.body = heads, side, numbers.body
        self.temperature = nn.Buffer(table.take(name + ".attn.temperature").reshape(heads, 1, 1))
        project = table.take(name + ".attn.project_out.weight").flatten(1)
        self.project = nn.Buffer(project.t().reshape(heads, -1, len(project)).contiguous())  # fp32
        bias = table.may_take(name + ".attn.project_out.bias")
        self.bias = None if bias is None else nn.Buffer(bias)

    def mixed(self, qkv):
        """M v of a rectangle."""
        count, height, width, channels = qkv.shape[0], qkv.shape[1], qkv.shape[2], qkv.shape[3] // 3
        # [N, 2, heads, C/heads, pixels]
        q, k = qkv[..., :2 * channels].float().reshape(count, height * width, 2, self.heads, -1).permute(2, 0, 3, 4, 1).unbind(0)
        gram = q @ k.transpose(-2, -1)
        lengths = [x.square().sum(-1).sqrt().clamp_min(LENGTH_EPSILON) for x in (q, k)]
        logits = gram / lengths[0].unsqueeze(-1) / lengths[1].unsqueeze(-2) * self.temperature
        matrix = (logits.softmax(-1).transpose(-2, -1) @ self.project).reshape(count, channels, channels).to(self.body)
        v = qkv[..., 2 * channels:].to(self.body).reshape(count, height * width, channels)
        return (v @ matrix).reshape(count, height, width, channels)

    def forward(self, x):
        qkv = self.expand(x)
        height, width = x.shape[1:3]
        rows, columns = min(height, self.side or height), min(width, self.side or width)
        tops, lefts = window_starts(height, rows), window_starts(width, columns)
        if len(tops) * len(lefts) == 1:
            result = self.mixed(qkv).float()
        else:
            total = x.new_zeros(x.shape)
            share = x.new_zeros((1, height, width, 1))
            for top in tops:
                for left in lefts:
                    edges = (left, width - left - columns, top, height - top - rows)
                    part = self.mixed(qkv[:, top:top + rows, left:left + columns]).float()
                    total = total + F.pad(part, (0, 0, *edges))
                    share[:, top:top + rows, left:left + columns] += 1
            result = total / share
        return x + (result if self.bias is None else result + self.bias)


class WindowAttention(nn.Module):
    """[64, 64] maps for each head and 8x8 window."""

    def __init__(self, table, name, heads, numbers):
        super().__init__()
        self.expand = Expansion(table, name + ".norm1", name + ".attn.qkv", name + ".attn.qkv_dwconv", 0, numbers)
        self.heads, self.body = heads, numbers.body
        self.temperature = nn.Buffer(table.take(name + ".attn.temperature").reshape(heads, 1, 1))
        bias = table.take(name + ".attn.relative_position_bias_table")
        place = torch.stack(torch.meshgrid(torch.arange(WINDOW), torch.arange(WINDOW), indexing="ij")).flatten(1)
        apart = place[:, :, None] - place[:, None] + WINDOW - 1
        self.position = nn.Buffer(bias[apart[0] * (2 * WINDOW - 1) + apart[1]].permute(2, 0, 1).contiguous())
        self.project = nn.Buffer(table.take(name + ".attn.project_out.weight").flatten(1).to(numbers.body))
        bias = table.may_take(name + ".attn.project_out.bias")
        self.bias = None if bias is None else nn.Buffer(bias.to(numbers.body))

    def forward(self, x):
        count, height, width, channels = x.shape
        down, across, each = height // WINDOW, width // WINDOW, channels // self.heads
        windows = self.expand(x).reshape(count, down, WINDOW, across, WINDOW, 3, self.heads, each)
        q, k, v = windows.permute(5, 0, 1, 3, 6, 2, 4, 7).reshape(3, -1, self.heads, WINDOW ** 2, each).unbind(0)
        logits = q.float() @ k.float().transpose(-2, -1) * (each ** -0.5 * self.temperature) + self.position
        mixed = (logits.softmax(-1).to(self.body) @ v.to(self.body)).reshape(count, down, across, self.heads, WINDOW, WINDOW, each)
        mixed = mixed.permute(0, 1, 4, 2, 5, 3, 6).reshape(count, height, width, channels)
        return x + F.linear(mixed, self.project, self.bias).float()


class FeedForward(nn.Module):
    def __init__(self, table, name, numbers):
        super().__init__()
        contract = table.take(name + ".ffn.project_out.weight").flatten(1)
        pad = -contract.shape[1] % HIDDEN_MULTIPLE
        self.expand = Expansion(table, name + ".norm2", name + ".ffn.project_in", name + ".ffn.dwconv", pad, numbers)
        self.contract = nn.Buffer(F.pad(contract, (0, pad)).to(numbers.body))
        bias = table.may_take(name + ".ffn.project_out.bias")
        self.bias = None if bias is None else nn.Buffer(bias.to(numbers.body))
        self.body = numbers.body

    def forward(self, x):
        first, second = self.expand(x).chunk(2, -1)
        return x + F.linear((F.gelu(first) * second).to(self.body), self.contract, self.bias).float()


class Block(nn.Module):
    def __init__(self, table, name, heads, side, numbers):
        super().__init__()
        if name + ".attn.relative_position_bias_table" in table.left:
            self.attention = WindowAttention(table, name, heads, numbers)
        else:
            self.attention = ChannelAttention(table, name, heads, side, numbers)
        self.feed_forward = FeedForward(table, name, numbers)

    def forward(self, x):
        return self.feed_forward(self.attention(x))


def shuffled(x):
    """[N, H, W, 4 C] -> [N, 2 H, 2 W, C]"""
    count, height, width, channels = x.shape
    x = x.reshape(count, height, width, channels // 4, 2, 2).permute(0, 1, 4, 2, 5, 3)
    return x.reshape(count, 2 * height, 2 * width, channels // 4)


def unshuffled(x):
    count, height, width, channels = x.shape
    x = x.reshape(count, height // 2, 2, width // 2, 2, channels).permute(0, 1, 3, 5, 2, 4)
    return x.reshape(count, height // 2, width // 2, 4 * channels)


class LeanRestormer(nn.Module):
    """forward(picture [N, C, H, W] fp32) -> the same; with dual pixel forward(left, right)."""

    def __init__(self, weights, numbers, local_window=None):
        super().__init__()
        table = Table(weights)
        self.body, self.edges = numbers.body, numbers.edges

        def stage(name, level):
            heads = len(table.left[name + ".0.attn.temperature"])
            side = max(1, local_window >> level) if local_window else None
            return nn.Sequential(*[Block(table, f"{name}.{i}", heads, side, numbers) for i in range(table.count(name))])

        def convolution(name, body=numbers.body):
            return Convolution(table, name, body)

        def reduction(name):
            return nn.Buffer(table.take(name + ".weight").flatten(1).to(numbers.body)), table.may_take(name + ".bias")

        self.patch_embed = convolution("patch_embed.proj", numbers.edges)
        self.encoders = nn.ModuleList([stage(f"encoder_level{i + 1}", i) for i in range(3)] + [stage("latent", 3)])
        self.downs = nn.ModuleList([convolution(f"down{i + 1}_{i + 2}.body.0") for i in range(3)])
        self.ups = nn.ModuleList([convolution(f"up{i + 2}_{i + 1}.body.0") for i in range(3)])
        self.decoders = nn.ModuleList([stage(f"decoder_level{i + 1}", i) for i in range(3)])
        self.refinement = stage("refinement", 0)
        self.reduce2, bias2 = reduction("reduce_chan_level2")
        self.reduce3, bias3 = reduction("reduce_chan_level3")
        self.reduce2_bias = None if bias2 is None else nn.Buffer(bias2.to(numbers.body))
        self.reduce3_bias = None if bias3 is None else nn.Buffer(bias3.to(numbers.body))
        skip = table.may_take("skip_conv.weight")
        self.skip = None if skip is None else nn.Buffer(skip.flatten(1).to(numbers.edges))
        skip_bias = table.may_take("skip_conv.bias")
        self.skip_bias = None if skip_bias is None else nn.Buffer(skip_bias.to(numbers.edges))
        self.output = convolution("output", numbers.edges)
        if table.left:
            raise ValueError(f"tensor `{min(table.left)}` is of no Restormer")

    def joined(self, level, below, beside, weight, bias):
        x = shuffled(self.ups[level](below))
        return F.linear(torch.cat([x, beside.to(self.body)], -1), weight, bias).float()

    def forward(self, picture, other=None):
        given = (picture if other is None else torch.cat([picture, other], 1)).permute(0, 2, 3, 1)
        embedded = self.patch_embed(given)
        first = self.encoders[0](embedded.float())
        second = self.encoders[1](unshuffled(self.downs[0](first)).float())
        third = self.encoders[2](unshuffled(self.downs[1](second)).float())
        x = self.encoders[3](unshuffled(self.downs[2](third)).float())
        x = self.decoders[2](self.joined(2, x, third, self.reduce3, self.reduce3_bias))
        x = self.decoders[1](self.joined(1, x, second, self.reduce2, self.reduce2_bias))
        x = self.decoders[0](torch.cat([shuffled(self.ups[0](x)).float(), first], -1))
        x = self.refinement(x)
        if self.skip is not None:
            x = x + F.linear(embedded, self.skip, self.skip_bias).float()
            return self.output(x).float().permute(0, 3, 1, 2).contiguous()
        return (self.output(x).float() + given).permute(0, 3, 1, 2).contiguous()
