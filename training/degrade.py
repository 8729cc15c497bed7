"""What a camera does to a clean picture: tone, softness, noise, JPEG, 8 bits.

`tone` and `soften` make more kinds of clean pictures and belong to the target as well: this network removes noise
and compression traces, it does not sharpen. `degrade` makes the input from the target, in a camera's order:

    clean -- Poisson-Gaussian noise -- JPEG -- clip, 8 bits -- input

All functions take and return float tensors [N, 3, H, W] in [0, 1], contiguous; each picture of a batch draws its own luck.
"""

import cv2
import numpy as np
import torch
from torch.nn import functional as F

LARGEST_SIGMA = 55 / 255
LARGEST_SHOT_GAIN = 0.01  # variance of the noise per unit of light
GRAY_SHARE = 0.15
IDENTITY_SHARE = 0.05
JPEG_SHARE = 0.4
JPEG_QUALITY = (30, 95)


def chance(count, share):
    return (torch.rand(count) < share).view(-1, 1, 1, 1)


def between(count, low, high):
    return low + (high - low) * torch.rand(count, 1, 1, 1)


def tone(clean):
    """Other colours and exposures of the same scene; some pictures become gray, gray ones may get colours."""
    count = clean.shape[0]
    permuted = torch.stack([picture[torch.randperm(3)] for picture in clean])
    gray = permuted.mean(1, keepdim=True)
    is_gray = (permuted.amax(1, keepdim=True) - permuted.amin(1, keepdim=True)).amax((1, 2, 3), keepdim=True) < 0.02
    dark, light = 0.35 * torch.rand(count, 3, 1, 1), 0.5 + 0.5 * torch.rand(count, 3, 1, 1)
    duotone = dark + (light - dark) * gray
    coloured = torch.where(is_gray & chance(count, 0.6), duotone, permuted)
    exposed = coloured.clamp(min=1e-4) ** between(count, 0.7, 1.4) * between(count, 0.7, 1.15)
    return torch.where(chance(count, GRAY_SHARE), exposed.mean(1, keepdim=True), exposed).clamp(0, 1)


def soften(clean):
    """Slight blur for three in ten pictures."""
    count = clean.shape[0]
    sigma = torch.where(chance(count, 0.3), between(count, 0.3, 1.2), torch.tensor(0.05)).view(-1, 1)
    taps = torch.exp(-torch.arange(-3, 4).float() ** 2 / (2 * sigma ** 2))
    taps = (taps / taps.sum(1, keepdim=True)).repeat_interleave(3, 0)
    channels = clean.reshape(1, -1, *clean.shape[2:])
    channels = F.pad(channels, (3, 3, 3, 3), mode="replicate")
    channels = F.conv2d(channels, taps.view(-1, 1, 1, 7), groups=taps.shape[0])
    channels = F.conv2d(channels, taps.view(-1, 1, 7, 1), groups=taps.shape[0])
    return channels.view_as(clean)


def noise_like(clean):
    """Poisson-Gaussian noise; in three of ten pictures the channels share part of it, in gray ones all of it."""
    count = clean.shape[0]
    sigma = between(count, 0, LARGEST_SIGMA)
    shot = torch.where(chance(count, 0.5), between(count, 0, LARGEST_SHOT_GAIN), torch.tensor(0.0))
    grain = torch.randn_like(clean)
    shared = torch.where(chance(count, 0.3), between(count, 0.1, 0.9), torch.tensor(0.0))
    shared = torch.where(is_gray(clean), torch.tensor(1.0), shared)
    common = torch.randn_like(clean[:, :1])
    grain = shared.sqrt() * common + (1 - shared).sqrt() * grain
    return grain * (shot * clean + sigma ** 2).sqrt()


def is_gray(pictures):
    return (pictures[:, :1] == pictures).all(3, keepdim=True).all(2, keepdim=True).all(1, keepdim=True)


def jpeg(picture, quality, row, column):
    """One uint8 [H, W, 3] picture through JPEG, its 8x8 grid moved by (row, column) pixels."""
    padded = cv2.copyMakeBorder(picture, row, 0, column, 0, cv2.BORDER_REFLECT_101)
    encoded = cv2.imencode(".jpg", padded, [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
    return cv2.imdecode(encoded, cv2.IMREAD_COLOR)[row:, column:]


def quantise(pictures):
    return (pictures.clamp(0, 1) * 255).round() / 255


def degrade(clean):
    """(input, target). One picture in twenty is only rounded to 8 bits: clean pictures are to stay as they are."""
    count = clean.shape[0]
    noisy = quantise(clean + noise_like(clean))
    through_jpeg = chance(count, JPEG_SHARE).flatten().nonzero().flatten().tolist()
    for i in through_jpeg:
        quality = int(torch.randint(JPEG_QUALITY[0], JPEG_QUALITY[1] + 1, ()))
        row, column = torch.randint(0, 8, (2,)).tolist()
        picture = (noisy[i] * 255).round().byte().permute(1, 2, 0).numpy()
        picture = jpeg(np.ascontiguousarray(picture), quality, row, column)
        noisy[i] = torch.from_numpy(picture).permute(2, 0, 1).float() / 255
    untouched = chance(count, IDENTITY_SHARE)
    return torch.where(untouched, quantise(clean), noisy), torch.where(untouched, quantise(clean), clean)
