"""The denoising network "student-tiny": a small U-shaped network without any whole-picture operation.

    in --+-- unshuffle/2 -- intro -- [enc1] --+------------------(+)-- [dec1] -- ending -- shuffle*2 -- (+) -- out
         |                                    |                   |                                      |
         |                                  down1                up1                                     |
         |                                    +-- [enc2] --+-(+)-- [dec2]                                |
         |                                                 |  |                                          |
         |                                               down2 up2                                       |
         |                                                 [middle]                                      |
         +-----------------------------------------------------------------------------------------------+

Every operation looks at a bounded neighbourhood, so a picture cut into tiles with a halo of at least the
receptive field gives exactly the result of the whole picture, provided tile origins are multiples of 8.

Input and output are [N, 3, H, W] RGB in [0, 1]; H and W are multiples of 8. The output is not clamped.
The state-dict names are the file format: the C++ reader finds its tensors by them.
"""

import torch
from torch import nn
from torch.nn import functional as F

WIDTH = 24
BLOCKS = (1, 1, 2)
MULTIPLE = 8
NORM_EPSILON = 1e-6


class ChannelNorm(nn.Module):
    """Layer norm over the channels of each pixel."""

    def __init__(self, channels):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, x):
        x = x.permute(0, 2, 3, 1)  # free for channels_last tensors
        x = F.layer_norm(x, self.weight.shape, self.weight, self.bias, NORM_EPSILON)
        return x.permute(0, 3, 1, 2)


def gate(x):
    """Multiplies the first half of the channels by the second: the only non-linearity of the network."""
    first, second = x.chunk(2, dim=1)
    return first * second


class Block(nn.Module):
    """A spatial step (depthwise 3x3) and a per-pixel step, each a scaled residual that starts at zero."""

    def __init__(self, channels):
        super().__init__()
        self.norm1 = ChannelNorm(channels)
        self.conv1 = nn.Conv2d(channels, 2 * channels, 1)
        self.conv2 = nn.Conv2d(2 * channels, 2 * channels, 3, padding=1, groups=2 * channels)
        self.conv3 = nn.Conv2d(channels, channels, 1)
        self.norm2 = ChannelNorm(channels)
        self.conv4 = nn.Conv2d(channels, 2 * channels, 1)
        self.conv5 = nn.Conv2d(channels, channels, 1)
        self.beta = nn.Parameter(torch.zeros(1, channels, 1, 1))
        self.gamma = nn.Parameter(torch.zeros(1, channels, 1, 1))

    def forward(self, x):
        y = x + self.beta * self.conv3(gate(self.conv2(self.conv1(self.norm1(x)))))
        return y + self.gamma * self.conv5(gate(self.conv4(self.norm2(y))))


def blocks(count, channels):
    return nn.Sequential(*[Block(channels) for _ in range(count)])


class StudentTiny(nn.Module):
    def __init__(self, width=WIDTH, counts=BLOCKS):
        super().__init__()
        n1, n2, n3 = counts
        self.intro = nn.Conv2d(12, width, 3, padding=1)
        self.encoder1 = blocks(n1, width)
        self.down1 = nn.Conv2d(width, 2 * width, 2, stride=2)
        self.encoder2 = blocks(n2, 2 * width)
        self.down2 = nn.Conv2d(2 * width, 4 * width, 2, stride=2)
        self.middle = blocks(n3, 4 * width)
        self.up2 = nn.Conv2d(4 * width, 8 * width, 1, bias=False)
        self.decoder2 = blocks(n2, 2 * width)
        self.up1 = nn.Conv2d(2 * width, 4 * width, 1, bias=False)
        self.decoder1 = blocks(n1, width)
        self.ending = nn.Conv2d(width, 12, 3, padding=1)
        nn.init.zeros_(self.ending.weight)
        nn.init.zeros_(self.ending.bias)

    def compute_in(self, body, edges):
        """Changes the types of the numbers: of the first and last convolution, and of what lies between."""
        self.to(body)
        self.intro.to(edges)
        self.ending.to(edges)
        return self

    def forward(self, picture):
        edges, body = self.intro.weight.dtype, self.down1.weight.dtype
        level1 = self.encoder1(self.intro(F.pixel_unshuffle(picture, 2).to(edges)).to(body))
        level2 = self.encoder2(self.down1(level1))
        x = self.middle(self.down2(level2))
        x = self.decoder2(F.pixel_shuffle(self.up2(x), 2) + level2)
        x = self.decoder1(F.pixel_shuffle(self.up1(x), 2) + level1)
        return picture + F.pixel_shuffle(self.ending(x.to(edges)), 2)


def receptive_field(network, size=192):
    """How far, in pixels, any output pixel looks: measured as the support of the gradient.

    An output pixel's reach depends on its place in the 8x8 grid, so all 64 places are tried.
    """
    reach = 0
    centre = size // 2
    for dy in range(MULTIPLE):
        for dx in range(MULTIPLE):
            picture = torch.rand(1, 3, size, size, dtype=torch.float64, requires_grad=True)
            y, x = centre + dy, centre + dx
            network(picture)[0, :, y, x].sum().backward()
            rows, columns = picture.grad[0].abs().sum(0).nonzero(as_tuple=True)
            reach = max(reach, int((rows - y).abs().max()), int((columns - x).abs().max()))
    return reach
