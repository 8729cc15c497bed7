"""The depth network "rgbd-tiny": completes and denoises depth pictures with the help of the colour picture.

    colour -- unshuffle/2 -- intro -- [block] -- down -- [block] -- down -- [block]
                                         |                  |                  |
                                        fuse               fuse               fuse          d + sigmoid(W [c, d]) * c
                                         |                  |                  |
    depth -- fill -- unshuffle/2 - intro + - [block] - down + - [block] - down + - [block]*2
                |                              |                   |                  |
                |                           (+) skip            (+) skip             up
                |                              |                   |                  |
                +-- (mix) -- shuffle*2 - ending - [block] -- up -- [block] -----------+

It thinks in inverse depth (1/m): planes are linear there, and the noise of stereo and structured-light cameras is about
the same everywhere. `fill` has no weights: it closes holes from what is nearby and hands out, for each pixel, the
nearest and the farthest surface around. The network chooses between these three per pixel, which can draw a sharp edge
through a hole, and adds a correction in proportion to how far they lie apart.

Every operation looks at a bounded neighbourhood, so a picture cut into tiles with a halo of at least the
receptive field gives exactly the result of the whole picture, provided tile origins are multiples of 16.

Input is [N, 4, H, W]: RGB in [0, 1], then depth in metres, 0 where it is unknown. Output is [N, 1, H, W] in metres;
0 only where nothing within reach (32 px at least) is known. H and W are multiples of 16.
The state-dict names are the file format: the C++ reader finds its tensors by them.
"""

import torch
from torch import nn
from torch.nn import functional as F

from network import Block, blocks

WIDTH = 24
BLOCKS = (1, 1, 2)  # of the depth branch; the colour branch has one per level
MULTIPLE = 16
FILL_LEVELS = 4  # cells of 2, 4, 8 and 16 px
FILL_STEPS = 2  # how many cells of the coarsest level a hole is filled across, from each side
CANDIDATE_LEVEL = 2  # nearest and farthest are taken over 3x3 cells of 4 px, or of the next level that knows some
NEAREST, FARTHEST = 0.05, 65.535  # metres: what the network takes in, what a 16-bit picture in mm can hold
EMPTY = -1e3  # less than any inverse depth and its negative
CONTRAST = 50.0  # differences of inverse depth of about 1/50 per metre are where asinh turns from linear to logarithmic
SMALLEST_STEP = 0.01  # per metre


def box(x):
    """Sum over 3x3 cells, divided by 9."""
    return F.avg_pool2d(x, 3, 1, 1)


def enlarge(x, factor=2):
    return F.interpolate(x, scale_factor=float(factor), mode="nearest")


def ratio(total, weight):
    """total / weight, 0 where there is none."""
    return torch.where(weight > 0, total / weight.clamp(min=1e-6), torch.zeros_like(total))


def fill(inverse, valid):
    """(inverse, reached): holes closed by means of known values in ever coarser cells, smoothed where they were made up.

    [N, 1, H, W] each; `valid` and `reached` are 0 or 1, and both inverses are 0 where these are.
    """
    totals, weights = [inverse], [valid]
    for _ in range(FILL_LEVELS):
        totals.append(F.avg_pool2d(totals[-1], 2))
        weights.append(F.avg_pool2d(weights[-1], 2))
    total, weight = totals[-1], weights[-1]
    for _ in range(FILL_STEPS):
        known = weight > 0
        total = torch.where(known, total, box(total))
        weight = torch.where(known, weight, box(weight))
    filled, reached = ratio(total, weight), (weight > 0).to(inverse.dtype)
    for level in reversed(range(FILL_LEVELS)):
        own, known = ratio(totals[level], weights[level]), weights[level] > 0
        filled = torch.where(known, own, enlarge(filled))
        reached = torch.where(known, torch.ones_like(own), enlarge(reached))
        filled = torch.where(known, own, ratio(box(filled * reached), box(reached)) * reached)
    return filled, reached


def surroundings(inverse, valid, filled):
    """(near, far): the largest and the smallest inverse depth around each pixel; `filled` where none is known."""
    both = torch.where(valid > 0, torch.cat([inverse, -inverse], 1), torch.full_like(inverse, EMPTY))
    pooled = [both]
    for _ in range(FILL_LEVELS):
        pooled.append(F.max_pool2d(pooled[-1], 2))
    found = F.max_pool2d(pooled[-1], 2 * FILL_STEPS + 1, 1, FILL_STEPS)
    for level in reversed(range(CANDIDATE_LEVEL, FILL_LEVELS)):
        own = F.max_pool2d(pooled[level], 3, 1, 1)
        found = torch.where(own > EMPTY, own, enlarge(found))
    found = enlarge(found, 2 ** CANDIDATE_LEVEL)
    near, far = found[:, :1], found[:, 1:]
    return torch.where(near > EMPTY, near, filled), torch.where(far > EMPTY, -far, filled)


class Fusion(nn.Module):
    """Lets into the depth branch as much of the colour branch as both agree on."""

    def __init__(self, channels):
        super().__init__()
        self.gate = nn.Conv2d(2 * channels, channels, 1)

    def forward(self, colour, depth):
        return depth + torch.sigmoid(self.gate(torch.cat([colour, depth], 1))) * colour


class RgbdTiny(nn.Module):
    def __init__(self, width=WIDTH, counts=BLOCKS):
        super().__init__()
        n1, n2, n3 = counts
        self.colour_intro = nn.Conv2d(12, width, 3, padding=1)
        self.colour1 = Block(width)
        self.colour_down1 = nn.Conv2d(width, 2 * width, 2, stride=2)
        self.colour2 = Block(2 * width)
        self.colour_down2 = nn.Conv2d(2 * width, 4 * width, 2, stride=2)
        self.colour3 = Block(4 * width)
        self.depth_intro = nn.Conv2d(16, width, 3, padding=1)
        self.fuse1 = Fusion(width)
        self.encoder1 = blocks(n1, width)
        self.down1 = nn.Conv2d(width, 2 * width, 2, stride=2)
        self.fuse2 = Fusion(2 * width)
        self.encoder2 = blocks(n2, 2 * width)
        self.down2 = nn.Conv2d(2 * width, 4 * width, 2, stride=2)
        self.fuse3 = Fusion(4 * width)
        self.middle = blocks(n3, 4 * width)
        self.up2 = nn.Conv2d(4 * width, 8 * width, 1, bias=False)
        self.decoder2 = blocks(n2, 2 * width)
        self.up1 = nn.Conv2d(2 * width, 4 * width, 1, bias=False)
        self.decoder1 = blocks(n1, width)
        self.ending = nn.Conv2d(width, 12, 3, padding=1)
        nn.init.zeros_(self.ending.weight)
        nn.init.zeros_(self.ending.bias)
        nn.init.constant_(self.ending.bias[4:], -3.0)  # without training, mostly the filled value is kept

    def forward(self, given):
        colour, depth = given[:, :3], given[:, 3:]
        is_valid = depth > 0
        valid = is_valid.to(depth.dtype)
        inverse = torch.where(is_valid, 1 / depth.clamp(min=NEAREST), torch.zeros_like(depth))
        filled, reached = fill(inverse, valid)
        near, far = surroundings(inverse, valid, filled)
        above, below = near - filled, filled - far
        seen = torch.cat([filled, valid, torch.asinh(CONTRAST * above), torch.asinh(CONTRAST * below)], 1)

        correction, to_near, to_far = self.mix(colour, seen).chunk(3, 1)
        shares = torch.softmax(torch.cat([torch.zeros_like(to_near), to_near, to_far], 1), 1)
        inverse = (filled + shares[:, 1:2] * above - shares[:, 2:] * below
                   + correction * (SMALLEST_STEP + above + below))
        inverse = inverse.clamp(1 / FARTHEST, 1 / NEAREST)
        return reached / inverse

    def mix(self, colour, seen):
        """[N, 3, H, W]: the correction, and the logits of `near` and `far` (that of `filled` is 0)."""
        c1 = self.colour1(self.colour_intro(F.pixel_unshuffle(colour, 2)))
        c2 = self.colour2(self.colour_down1(c1))
        c3 = self.colour3(self.colour_down2(c2))
        d1 = self.encoder1(self.fuse1(c1, self.depth_intro(F.pixel_unshuffle(seen, 2))))
        d2 = self.encoder2(self.fuse2(c2, self.down1(d1)))
        x = self.middle(self.fuse3(c3, self.down2(d2)))
        x = self.decoder2(F.pixel_shuffle(self.up2(x), 2) + d2)
        x = self.decoder1(F.pixel_shuffle(self.up1(x), 2) + d1)
        return F.pixel_shuffle(self.ending(x), 2)


SAME, MIRRORED = (lambda x: x), (lambda x: x.flip(3))
TURNS = ((SAME, SAME), (MIRRORED, MIRRORED),  # how to turn a picture, and back
         (lambda x: x.mT, lambda x: x.mT), (lambda x: x.flip(3).mT, lambda x: x.mT.flip(3)))


def receptive_field(network, size=208):
    """How far, in pixels, any output pixel looks: measured by exchanging everything left of a line.

    Right of the line is a hole, from which the network looks farther than from known values; behind it all is known.
    All 16 places of the line in the grid, holes of several widths, and all four sides are tried.
    """
    reach, height = 0, MULTIPLE
    for hole in range(0, 7 * MULTIPLE, 2 * MULTIPLE):
        for line in range(3 * MULTIPLE, 4 * MULTIPLE):
            before = torch.rand(1, 4, height, size, dtype=torch.float64)
            before[:, 3:] += 1
            before[:, 3:, :, line:line + hole] = 0
            after = before.clone()
            after[..., :line] = torch.rand(1, 4, height, line)
            after[:, 3:, :, :line] += 20
            for turn, back in TURNS:
                with torch.no_grad():
                    first, second = back(network(turn(torch.cat([before, after])).contiguous())).unbind()
                reach = max(reach, int((first != second).nonzero()[:, 2].max()) - line + 1)
    return reach
