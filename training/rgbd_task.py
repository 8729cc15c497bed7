"""What "rgbd-tiny" learns: depth without noise and holes."""

import numpy as np
import torch

import degrade
import rgbd_degrade
import rgbd_network
from rgbd_scenes import FARTHEST, NEAREST, PairPool, RgbdPainter

NAME = "rgbd-tiny"
PHASES = ((0.27, 12, 64), (1.00, 4, 128))  # until this share of the time: batch size, crop side
SCENES = 400
SOURCES = ("rgbd_network.py", "rgbd_scenes.py", "rgbd_degrade.py", "rgbd_task.py", "network.py", "pictures.py",
           "degrade.py")
LOSS_FLOOR = 2e-4  # of the relative error
SOFTENING = 0.1  # 1/m, added to the depth that errors are relative to: beyond 10 m they count less
SLOPE_WEIGHT = 0.5
HOLE_WEIGHT = 0.7
FINE_WEIGHT, FINE = 0.5, 2e-3  # of the mean log(1 + error / FINE)
FINE_FROM = 0.46  # share of the time
GOLDEN_SEED = 7
GOLDEN_SIDE = 128


def make_network():
    return rgbd_network.RgbdTiny()


def make_pool(seed, scene_count):
    return PairPool(seed, scene_count)


def make_batch(pool, count, side):
    """(given [count, 4, side, side], wanted inverse depth [count, 1, side, side] in 1/m)."""
    colours, inverses = pool.crops(count, side)
    colours = torch.from_numpy(colours).permute(0, 3, 1, 2).contiguous().float() / 255
    colours = degrade.soften(degrade.tone(colours))
    given = np.empty((count, 4, side, side), np.float32)
    for i in range(count):
        colour = colours[i].permute(1, 2, 0).numpy()
        given[i, 3] = rgbd_degrade.degrade_depth(colour, inverses[i], pool.random)
        given[i, :3] = rgbd_degrade.degrade_colour(colour, pool.random).transpose(2, 0, 1)
    return torch.from_numpy(given), torch.from_numpy(inverses)[:, None]


def losses(output, given, wanted, progress):
    """One per picture: log of the mean error where depth was given, plus, weighted, the same in the holes.

    The error is of inverse depth and of its slopes, relative to the true one. Apart, as errors in holes are far larger;
    logarithms, so that easy pictures have the same say. A few pixels at edges make most of the mean, hence, once these
    are learnt, the mean of logarithms beside it, which asks the others to become smooth. Where the network says
    "unknown", nothing is asked.
    """
    answered = (output > 0).to(output.dtype)
    off = (1 / output.clamp(min=1e-2) - wanted) * answered / (wanted + SOFTENING)
    error = off.abs()
    error[..., 1:] = error[..., 1:] + SLOPE_WEIGHT * (off[..., 1:] - off[..., :-1]).abs()
    error[..., 1:, :] = error[..., 1:, :] + SLOPE_WEIGHT * (off[..., 1:, :] - off[..., :-1, :]).abs()
    known = (given[:, 3:] > 0).to(output.dtype)
    total, fine_weight = 0, FINE_WEIGHT if progress >= FINE_FROM else 0
    for where, weight in ((known, 1.0), (answered - known, HOLE_WEIGHT)):
        count = where.sum((1, 2, 3)).clamp(min=1)
        mean = (error * where).sum((1, 2, 3)) / count
        fine = (torch.log1p(error / FINE) * where).sum((1, 2, 3)) / count
        total = total + weight * (torch.log(mean + LOSS_FLOOR) + fine_weight * fine)
    return total / (1 + HOLE_WEIGHT)


def figure(loss):
    """What the log says of a mean loss."""
    return f"mean training loss {loss:.3f}"


def recipe():
    return {
        "network": {"arch": NAME, "width": rgbd_network.WIDTH, "blocks": rgbd_network.BLOCKS,
                    "fill_levels": rgbd_network.FILL_LEVELS, "fill_steps": rgbd_network.FILL_STEPS},
        "loss": f"mean over pictures of log(error + {LOSS_FLOOR}) where depth was given and, times {HOLE_WEIGHT}, in holes, "
                f"each plus, from {FINE_FROM} of the time on, {FINE_WEIGHT} mean log(1 + error / {FINE}); "
                f"error: |inverse depth| + {SLOPE_WEIGHT} |slopes|, over (true + {SOFTENING} per metre)",
        "degradation": {
            "sigma_metres": "0 to 1.5 times 0.0012 + 0.0019 (z - 0.4)^2", "chances": rgbd_degrade.CHANCES,
            "clean_share": rgbd_degrade.CLEAN_SHARE, "largest_shadow": rgbd_degrade.LARGEST_SHADOW,
            "largest_hole": rgbd_degrade.LARGEST_HOLE, "largest_colour_sigma": rgbd_degrade.LARGEST_COLOUR_SIGMA,
            "jpeg_share": rgbd_degrade.JPEG_SHARE, "jpeg_quality": rgbd_degrade.JPEG_QUALITY},
        "depth_metres": [NEAREST, FARTHEST],
    }


def metadata(network):
    """What the daemon wants to know of the weights; `network` is in double precision."""
    return {"task": "depth", "scale": "1", "companion": "depth", "width": str(rgbd_network.WIDTH),
            "blocks": ",".join(map(str, rgbd_network.BLOCKS)), "multiple": str(rgbd_network.MULTIPLE),
            "receptive_field": str(rgbd_network.receptive_field(network))}


def golden():
    """A drawn pair with noise, a hole that the network fills and one that is too large: [1, 3 and 1, 128, 128]."""
    random = np.random.default_rng(GOLDEN_SEED)
    colour, inverse = RgbdPainter(GOLDEN_SEED).paint_pair()
    colour = colour[:GOLDEN_SIDE, :GOLDEN_SIDE].astype(np.float32) / 255
    depth = 1 / inverse[:GOLDEN_SIDE, :GOLDEN_SIDE]
    depth = depth + random.normal(0, 1, depth.shape) * rgbd_degrade.sigma_of(depth)
    depth[random.random(depth.shape) < 0.05] = 0
    depth[20:44, 8:40] = 0
    depth[16:, 48:] = 0
    depth = rgbd_degrade.whole_millimetres(depth).astype(np.float32)
    return {"input": torch.from_numpy(colour).permute(2, 0, 1)[None].contiguous(),
            "depth": torch.from_numpy(depth)[None, None].contiguous()}


def answer(network, tensors):
    """What the network makes of golden tensors."""
    return network(torch.cat([tensors["input"], tensors["depth"]], 1))
