"""What a depth camera does to a clean pair: noise, mixed pixels, holes, whole millimetres; and a camera to its colour.

Noise follows the fit of Nguyen et al. (2012) for a structured-light camera, sigma = 0.0012 + 0.0019 (z - 0.4)^2 metres,
which is nearly constant in inverse depth. All functions work on one picture: float32 [H, W], colour in [0, 1].
"""

import cv2
import numpy as np

from degrade import jpeg

EDGE = 1.03  # ratio of depths from which on neighbours belong to different surfaces
LARGEST_SHADOW = 8  # px
LARGEST_HOLE = 64  # px
LARGEST_COLOUR_SIGMA = 15 / 255
JPEG_SHARE, JPEG_QUALITY = 0.4, (40, 95)
CLEAN_SHARE = 0.05  # pairs that are only rounded: good depth is to stay as it is
CHANCES = {"mixed": 0.8, "shadow": 0.8, "specks": 0.5, "blobs": 0.45, "hole": 0.5, "dark": 0.35, "shiny": 0.25,
           "sparse": 0.06, "far": 0.05, "coarse": 0.2}


def sigma_of(depth):
    return 0.0012 + 0.0019 * (depth - 0.4) ** 2


def grain(shape, random):
    """Noise of mean 0 and deviation 1; in half of the pictures, neighbours share some of it."""
    noise = random.normal(0, 1, shape).astype(np.float32)
    if random.random() < 0.5:
        noise = cv2.GaussianBlur(noise, (0, 0), random.uniform(0.4, 1.2))
        noise /= noise.std() + 1e-6
    return noise


def field(shape, random, period):
    """Smooth and random, mean 0, deviation about 1."""
    height, width = (max(2, int(side / period) + 2) for side in shape)
    return cv2.resize(random.normal(0, 1, (height, width)).astype(np.float32), shape[::-1], interpolation=cv2.INTER_CUBIC)


def mixed_pixels(depth, random):
    """At edges, some pixels see both surfaces and report something in between."""
    kernel = np.ones((3, 3), np.uint8)
    far, near = cv2.dilate(depth, kernel), cv2.erode(depth, kernel)
    chosen = (far > EDGE * near) & (random.random(depth.shape) < random.uniform(0.1, 0.9))
    return np.where(chosen, near + (far - near) * random.random(depth.shape).astype(np.float32), depth)


def shadow(depth, random):
    """Beside near surfaces, the background is hidden from the projector or the second camera: True where nothing is seen."""
    turn = int(random.choice([0, 0, 0, 1, 2, 2, 2, 3]))  # mostly left or right
    inverse = 1 / np.rot90(depth, turn)
    widest = random.integers(2, LARGEST_SHADOW + 1)
    pixels = widest / random.uniform(0.1, 1.0)  # per 1/m of difference
    hidden = np.zeros(inverse.shape, bool)
    for step in range(1, widest + 1):
        difference = inverse[:, :-step] - inverse[:, step:]
        hidden[:, step:] |= (difference * pixels > step - 0.5) & (inverse[:, :-step] > EDGE * inverse[:, step:])
    return np.rot90(hidden, -turn)


def large_hole(shape, random):
    """An ellipse, a rectangle or a polygon up to LARGEST_HOLE px across."""
    mask = np.zeros(shape, np.uint8)
    centre = random.integers((0, 0), shape[::-1])
    half = random.uniform(6, LARGEST_HOLE / 2, 2)
    kind = random.random()
    if kind < 0.4:
        cv2.ellipse(mask, centre.tolist(), half.astype(int).tolist(), random.uniform(0, 180), 0, 360, 1, -1)
    elif kind < 0.7:
        cv2.rectangle(mask, (centre - half).astype(int).tolist(), (centre + half).astype(int).tolist(), 1, -1)
    else:
        angles = np.sort(random.uniform(0, 2 * np.pi, 7))
        points = centre + half * random.uniform(0.4, 1, (7, 1)) * np.stack([np.cos(angles), np.sin(angles)], 1)
        cv2.fillPoly(mask, [points.astype(np.int32)], 1)
    return mask.astype(bool)


def whole_millimetres(depth):
    return np.round(np.clip(depth, 0, 65.535) * 1000).astype(np.float32) / 1000


def degrade_depth(colour, inverse, random):
    """Depth in metres, 0 in holes. `colour` says where it is dark or shiny."""
    def happens(what):
        return random.random() < CHANCES[what]

    depth = 1 / inverse
    if random.random() < CLEAN_SHARE:
        return whole_millimetres(depth)
    shape = depth.shape
    holes = shadow(depth, random) if happens("shadow") else np.zeros(shape, bool)
    if happens("mixed"):
        depth = mixed_pixels(depth, random)
    depth = depth + grain(shape, random) * sigma_of(depth) * random.uniform(0, 1.5)
    if happens("coarse"):  # disparities come in steps
        step = random.uniform(0.0005, 0.004)
        depth = 1 / np.maximum(np.round(1 / np.maximum(depth, 0.1) / step) * step, step)
    if happens("specks"):
        holes |= random.random(shape) < random.exponential(0.03)
    if happens("blobs"):
        holes |= field(shape, random, random.uniform(4, 20)) > random.uniform(1.0, 2.5)
    while happens("hole"):
        holes |= large_hole(shape, random)
    light = colour.mean(2)
    if happens("dark"):
        holes |= (light < random.uniform(0.03, 0.2)) & (random.random(shape) < random.uniform(0.3, 1))
    if happens("shiny"):
        holes |= (light > random.uniform(0.85, 0.97)) & (random.random(shape) < random.uniform(0.3, 1))
    if happens("sparse"):
        holes |= random.random(shape) < random.uniform(0.3, 0.95)
    if happens("far"):
        holes |= depth > random.uniform(4, 10)
    return np.where(holes, 0, whole_millimetres(depth)).astype(np.float32)


def degrade_colour(colour, random):
    noisy = colour + random.normal(0, random.uniform(0, LARGEST_COLOUR_SIGMA), colour.shape)
    picture = np.round(np.clip(noisy, 0, 1) * 255).astype(np.uint8)
    if random.random() < JPEG_SHARE:
        row, column = random.integers(0, 8, 2)
        picture = jpeg(picture, int(random.integers(JPEG_QUALITY[0], JPEG_QUALITY[1] + 1)), int(row), int(column))
    return picture.astype(np.float32) / 255
