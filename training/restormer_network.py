"""A small network of the Restormer family (Zamir et al., CVPR 2022), written from the paper.

    in -- patch_embed -- level1 -- down -- level2 -- down -- level3 -- down -- latent
     |                     |                 |                 |                 |
     |   output - refinement - level1 - up - level2 - reduce - up - level3 - reduce - up
     +-----(+)
            |
           out

Its state dict has the names and shapes of the published checkpoints, so whatever reads those reads it. Two kinds of
attention:

* "channel", the published one: a map between the channels of all pixels. The result depends on the whole picture, so
  tiles never equal it exactly.
* "window": a map between the 64 pixels of each 8x8 window, with a learnt bias for their relative places
  (`attn.relative_position_bias_table` [225, heads]). Windows start at multiples of 8 of their level, so that pictures
  and tiles are multiples of 64 and the receptive field is finite.

Input and output are [N, 3, H, W] RGB in [0, 1], not clamped; sides are multiples of 8, or of 64 with windows.
"""

import torch
from torch import nn
from torch.nn import functional as F

HEADS = (1, 2, 4, 8)
EXPANSION = 2.66
WINDOW = 8


class LayerNorm(nn.Module):
    """Over the channels of each pixel. The level below `body` is the published one's."""

    def __init__(self, channels):
        super().__init__()
        self.body = nn.LayerNorm(channels)

    def forward(self, x):
        return self.body(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class Attention(nn.Module):
    def __init__(self, channels, heads, kind):
        super().__init__()
        self.heads = heads
        self.temperature = nn.Parameter(torch.ones(heads, 1, 1))
        self.qkv = nn.Conv2d(channels, 3 * channels, 1, bias=False)
        self.qkv_dwconv = nn.Conv2d(3 * channels, 3 * channels, 3, padding=1, groups=3 * channels, bias=False)
        self.project_out = nn.Conv2d(channels, channels, 1, bias=False)
        self.attend = self.over_channels
        if kind == "window":
            self.attend = self.over_windows
            self.relative_position_bias_table = nn.Parameter(0.02 * torch.randn((2 * WINDOW - 1) ** 2, heads))
            place = torch.stack(torch.meshgrid(torch.arange(WINDOW), torch.arange(WINDOW), indexing="ij")).flatten(1)
            apart = place[:, :, None] - place[:, None] + WINDOW - 1
            self.register_buffer("rows", apart[0] * (2 * WINDOW - 1) + apart[1], persistent=False)

    def forward(self, x):
        return self.project_out(self.attend(self.qkv_dwconv(self.qkv(x))))

    def over_channels(self, qkv):
        """A [C/heads, C/heads] map per head and picture."""
        count, channels, height, width = qkv.shape
        q, k, v = qkv.reshape(count, 3, self.heads, channels // 3 // self.heads, height * width).unbind(1)
        weights = F.normalize(q, dim=-1) @ F.normalize(k, dim=-1).transpose(-2, -1) * self.temperature
        return (weights.softmax(-1) @ v).reshape(count, channels // 3, height, width)

    def over_windows(self, qkv):
        """A [64, 64] map per head and window."""
        count, channels, height, width = qkv.shape
        per_head, down, across = channels // 3 // self.heads, height // WINDOW, width // WINDOW
        windows = qkv.reshape(count, 3, self.heads, per_head, down, WINDOW, across, WINDOW)
        windows = windows.permute(1, 0, 4, 6, 2, 5, 7, 3).reshape(3, -1, self.heads, WINDOW ** 2, per_head)
        bias = self.relative_position_bias_table[self.rows].permute(2, 0, 1)
        q, k, v = windows.unbind(0)
        weights = (q @ k.transpose(-2, -1) * per_head ** -0.5 * self.temperature + bias).softmax(-1)
        mixed = (weights @ v).reshape(count, down, across, self.heads, WINDOW, WINDOW, per_head)
        return mixed.permute(0, 3, 6, 1, 4, 2, 5).reshape(count, channels // 3, height, width)


class FeedForward(nn.Module):
    def __init__(self, channels):
        super().__init__()
        hidden = int(channels * EXPANSION)
        self.project_in = nn.Conv2d(channels, 2 * hidden, 1, bias=False)
        self.dwconv = nn.Conv2d(2 * hidden, 2 * hidden, 3, padding=1, groups=2 * hidden, bias=False)
        self.project_out = nn.Conv2d(hidden, channels, 1, bias=False)

    def forward(self, x):
        first, second = self.dwconv(self.project_in(x)).chunk(2, 1)
        return self.project_out(F.gelu(first) * second)


class Block(nn.Module):
    def __init__(self, channels, heads, kind):
        super().__init__()
        self.norm1, self.attn = LayerNorm(channels), Attention(channels, heads, kind)
        self.norm2, self.ffn = LayerNorm(channels), FeedForward(channels)

    def forward(self, x):
        x = x + self.attn(self.norm1(x))
        return x + self.ffn(self.norm2(x))


class Resample(nn.Module):
    """A 3x3 convolution, then half or twice the size."""

    def __init__(self, channels, out, shuffle):
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(channels, out, 3, padding=1, bias=False), shuffle)

    def forward(self, x):
        return self.body(x)


class Embedding(nn.Module):
    def __init__(self, dim):
        super().__init__()
        self.proj = nn.Conv2d(3, dim, 3, padding=1, bias=False)

    def forward(self, x):
        return self.proj(x)


class Restormer(nn.Module):
    def __init__(self, dim, counts, refinement, kind):
        super().__init__()

        def level(count, index, channels):
            return nn.Sequential(*[Block(channels, HEADS[index], kind) for _ in range(count)])

        def down(channels):
            return Resample(channels, channels // 2, nn.PixelUnshuffle(2))

        def up(channels):
            return Resample(channels, 2 * channels, nn.PixelShuffle(2))

        self.patch_embed = Embedding(dim)
        self.encoder_level1 = level(counts[0], 0, dim)
        self.down1_2 = down(dim)
        self.encoder_level2 = level(counts[1], 1, 2 * dim)
        self.down2_3 = down(2 * dim)
        self.encoder_level3 = level(counts[2], 2, 4 * dim)
        self.down3_4 = down(4 * dim)
        self.latent = level(counts[3], 3, 8 * dim)
        self.up4_3 = up(8 * dim)
        self.reduce_chan_level3 = nn.Conv2d(8 * dim, 4 * dim, 1, bias=False)
        self.decoder_level3 = level(counts[2], 2, 4 * dim)
        self.up3_2 = up(4 * dim)
        self.reduce_chan_level2 = nn.Conv2d(4 * dim, 2 * dim, 1, bias=False)
        self.decoder_level2 = level(counts[1], 1, 2 * dim)
        self.up2_1 = up(2 * dim)
        self.decoder_level1 = level(counts[0], 0, 2 * dim)
        self.refinement = level(refinement, 0, 2 * dim)
        self.output = nn.Conv2d(2 * dim, 3, 3, padding=1, bias=False)

    def forward(self, picture):
        level1 = self.encoder_level1(self.patch_embed(picture))
        level2 = self.encoder_level2(self.down1_2(level1))
        level3 = self.encoder_level3(self.down2_3(level2))
        x = self.up4_3(self.latent(self.down3_4(level3)))
        x = self.decoder_level3(self.reduce_chan_level3(torch.cat([x, level3], 1)))
        x = self.decoder_level2(self.reduce_chan_level2(torch.cat([self.up3_2(x), level2], 1)))
        x = self.refinement(self.decoder_level1(torch.cat([self.up2_1(x), level1], 1)))
        return picture + self.output(x)
