"""What "student-tiny" learns: pictures without noise."""

import math

import numpy as np
import torch

import degrade
import pictures
from network import BLOCKS, MULTIPLE, WIDTH, StudentTiny, receptive_field

NAME = "student-tiny"
PHASES = ((0.60, 16, 64), (1.00, 8, 96))  # until this share of the time: batch size, crop side
SCENES = 400
SOURCES = ("network.py", "pictures.py", "degrade.py", "denoise_task.py")
LOSS_FLOOR = 1e-5  # of the MSE: better than 50 dB earns no more
GOLDEN_SEED = 7
GOLDEN_SIGMA = 25 / 255


def make_network():
    return StudentTiny()


def make_pool(seed, scene_count):
    return pictures.ClippingPool(seed, scene_count)


def make_batch(pool, count, side):
    """(given, wanted): [count, 3, side, side] each."""
    crops = torch.from_numpy(pool.crops(count, side)).permute(0, 3, 1, 2).contiguous().float() / 255
    return degrade.degrade(degrade.soften(degrade.tone(crops)))


def losses(output, given, wanted, progress):
    """One per picture: log(MSE), which gives faint and heavy noise the same say."""
    return torch.log(((output - wanted) ** 2).mean((1, 2, 3)) + LOSS_FLOOR)


def figure(loss):
    """What the log says of a mean loss."""
    return f"mean training PSNR {-10 / math.log(10) * loss:.2f} dB"


def recipe():
    return {
        "network": {"arch": NAME, "width": WIDTH, "blocks": BLOCKS},
        "loss": f"mean over pictures of log(MSE + {LOSS_FLOOR})",
        "degradation": {
            "sigma": [0, 55], "shot_gain": [0, degrade.LARGEST_SHOT_GAIN], "gray_share": degrade.GRAY_SHARE,
            "identity_share": degrade.IDENTITY_SHARE, "jpeg_share": degrade.JPEG_SHARE,
            "jpeg_quality": degrade.JPEG_QUALITY},
        "photographs": pictures.PHOTOGRAPHS, "held_out": pictures.HELD_OUT,
    }


def metadata(network):
    """What the daemon wants to know of the weights; `network` is in double precision."""
    return {"task": "denoise", "scale": "1", "width": str(WIDTH), "blocks": ",".join(map(str, BLOCKS)),
            "multiple": str(MULTIPLE), "receptive_field": str(receptive_field(network))}


def golden():
    """A drawn scene [1, 3, 64, 64] with noise of sigma 25."""
    scene = pictures.ScenePainter(GOLDEN_SEED).paint()[:64, :64].copy()
    scene = torch.from_numpy(scene).permute(2, 0, 1)[None].float() / 255
    noise = torch.from_numpy(np.random.default_rng(GOLDEN_SEED).normal(0, GOLDEN_SIGMA, scene.shape)).float()
    return {"input": (((scene + noise).clamp(0, 1) * 255).round() / 255).contiguous()}


def answer(network, tensors):
    """What the network makes of golden tensors."""
    return network(tensors["input"])
