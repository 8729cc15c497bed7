"""Measures the network on the two held-out photographs against OpenCV's non-local means.

Noise is Gaussian, clipped and rounded to 8 bits, with a fixed seed per sigma; outputs are clipped and
rounded to 8 bits as well. PSNR is over all pixels and channels, averaged over the photographs. The network is blind:
it is not told sigma. "Best h" is an oracle: for each photograph and sigma the h with the highest PSNR, which needs the
clean picture; h runs through BEST_H.
"""

import cv2
import numpy as np
import torch

from network import MULTIPLE, receptive_field
from pictures import HELD_OUT, ScenePainter, read_photograph

SIGMAS = (15, 25, 50)
REQUIRED_GAIN = {15: 7.0, 25: 9.0, 50: 10.5}
BEST_H = (3, 5, 7, 10, 13, 16, 20, 25, 30, 36, 43, 50, 60, 75)
HALO = 40
SMOOTH_SEED = 1000  # scenes that training does not see


def psnr(picture, clean):
    error = np.mean((picture.astype(np.float64) - clean.astype(np.float64)) ** 2)
    return 10 * np.log10(255 ** 2 / error) if error else np.inf


def held_out():
    """The held-out photographs, cut to multiples of 8."""
    for name in HELD_OUT:
        photograph = read_photograph(name)
        height, width = (side - side % MULTIPLE for side in photograph.shape[:2])
        yield photograph[:height, :width]


def with_noise(clean, sigma, shared=False):
    random = np.random.default_rng(sigma)
    grain = random.normal(0, sigma, clean.shape[:2] + (1 if shared else 3,))
    return np.clip(np.round(clean + grain), 0, 255).astype(np.uint8)


def to_gray(picture):
    return np.repeat(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)[..., None], 3, axis=2)


def as_tensor(picture):
    return torch.from_numpy(np.ascontiguousarray(picture.transpose(2, 0, 1)))[None].float() / 255


def denoise(network, picture):
    with torch.no_grad():
        output = network(as_tensor(picture))[0].clamp(0, 1) * 255
    return output.round().byte().permute(1, 2, 0).numpy()


def nlm_colored(picture, h):
    swapped = cv2.cvtColor(picture, cv2.COLOR_RGB2BGR)
    return cv2.cvtColor(cv2.fastNlMeansDenoisingColored(swapped, None, h, h), cv2.COLOR_BGR2RGB)


def nlm_rgb(picture, h):
    return cv2.fastNlMeansDenoising(picture, None, h)


def best_of(method, noisy, clean):
    return max(psnr(method(noisy, h), clean) for h in BEST_H)


def measure_colour(network):
    """[{sigma, noisy, network, nlm_default, nlm_best, nlm_rgb_best}], means over the photographs."""
    rows = []
    for sigma in SIGMAS:
        scores = []
        for clean in held_out():
            noisy = with_noise(clean, sigma)
            scores.append((psnr(noisy, clean), psnr(denoise(network, noisy), clean), psnr(nlm_colored(noisy, 10), clean),
                           best_of(nlm_colored, noisy, clean), best_of(nlm_rgb, noisy, clean)))
        names = ("noisy", "network", "nlm_default", "nlm_best", "nlm_rgb_best")
        rows.append({"sigma": sigma, **dict(zip(names, np.mean(scores, axis=0).tolist()))})
    return rows


def measure_gray(network):
    """[(sigma, noisy, network)]: the same photographs in gray, given as three equal channels."""
    rows = []
    for sigma in SIGMAS:
        pairs = [(with_noise(gray, sigma, shared=True), gray) for gray in map(to_gray, held_out())]
        rows.append((sigma, np.mean([psnr(noisy, gray) for noisy, gray in pairs]),
                     np.mean([psnr(denoise(network, noisy), gray) for noisy, gray in pairs])))
    return rows


def measure_clean(network):
    """PSNR of the output to the input when there is nothing to remove: (colour, gray)."""
    clean = list(held_out())
    gray = [to_gray(picture) for picture in clean]
    return tuple(np.mean([psnr(denoise(network, picture), picture) for picture in kind]) for kind in (clean, gray))


def measure_smooth(network):
    """Sigma 25 on a smooth 1-megapixel gradient: (noisy, network)."""
    corners = np.random.default_rng(SMOOTH_SEED).uniform(60, 200, (3, 3, 3)).astype(np.float32)
    smooth = np.clip(cv2.resize(corners, (1024, 1024), interpolation=cv2.INTER_CUBIC), 0, 255).round().astype(np.uint8)
    noisy = with_noise(smooth, 25)
    return psnr(noisy, smooth), psnr(denoise(network, noisy), smooth)


def measure_limits(network):
    """[(what, noisy, network)] for noise that training does not show, on the held-out photographs."""
    heavy = [(with_noise(clean, 75), clean) for clean in held_out()]
    coarse = []
    for clean in held_out():
        height, width = clean.shape[:2]
        grain = np.random.default_rng(25).normal(0, 1, (height // 2, width // 2, 3))
        grain = cv2.resize(grain, (width, height), interpolation=cv2.INTER_CUBIC)
        coarse.append((np.clip(np.round(clean + grain * (25 / grain.std())), 0, 255).astype(np.uint8), clean))
    return [(what, np.mean([psnr(noisy, clean) for noisy, clean in pairs]),
             np.mean([psnr(denoise(network, noisy), clean) for noisy, clean in pairs]))
            for what, pairs in (("sigma 75", heavy), ("sigma 25, grain of two pixels", coarse))]


def measure_scenes(network):
    """Sigma 25 on eight drawn scenes: (noisy, network)."""
    painter = ScenePainter(SMOOTH_SEED)
    pairs = [(with_noise(scene, 25), scene) for scene in (painter.paint() for _ in range(8))]
    return (np.mean([psnr(noisy, scene) for noisy, scene in pairs]),
            np.mean([psnr(denoise(network, noisy), scene) for noisy, scene in pairs]))


def measure_tiling(network, tile=64):
    """Largest difference between a picture done in tiles with HALO and the same picture done whole."""
    picture = as_tensor(with_noise(next(held_out()), 25))
    height, width = picture.shape[2:]
    largest = 0.0
    with torch.no_grad():
        whole = network(picture)
        for top in range(0, height, tile):
            for left in range(0, width, tile):
                y0, x0 = max(0, top - HALO), max(0, left - HALO)
                part = network(picture[:, :, y0:top + tile + HALO, x0:left + tile + HALO].contiguous())
                part = part[:, :, top - y0:top - y0 + tile, left - x0:left - x0 + tile]
                largest = max(largest, (part - whole[:, :, top:top + tile, left:left + tile]).abs().max().item())
    return largest


def gates(rows):
    """[(sentence, passed)] for every promise the network has to keep."""
    found = []
    for row in rows:
        gain, best = row["network"] - row["noisy"], max(row["nlm_best"], row["nlm_rgb_best"])
        found.append((f"sigma {row['sigma']}: gain {gain:.2f} dB, required {REQUIRED_GAIN[row['sigma']]}",
                      gain >= REQUIRED_GAIN[row["sigma"]]))
        found.append((f"sigma {row['sigma']}: {row['network']:.2f} dB, best non-local means {best:.2f}",
                      row["network"] >= best))
    return found


def report(network):
    """The measured part of the model card, and whether every gate is passed."""
    rows = measure_colour(network)
    lines = ["| sigma | noisy | **student-tiny** | gain | fastNlMeansDenoisingColored h=10 | …Colored best h | "
             "fastNlMeansDenoising on RGB best h |", "|---|---|---|---|---|---|---|"]
    for row in rows:
        lines.append(f"| {row['sigma']} | {row['noisy']:.2f} | **{row['network']:.2f}** | "
                     f"+{row['network'] - row['noisy']:.2f} | {row['nlm_default']:.2f} | {row['nlm_best']:.2f} | "
                     f"{row['nlm_rgb_best']:.2f} |")
    lines += ["", "| gray, sigma | noisy | student-tiny | gain |", "|---|---|---|---|"]
    lines += [f"| {sigma} | {noisy:.2f} | {ours:.2f} | {ours - noisy:+.2f} |"
              for sigma, noisy, ours in measure_gray(network)]
    smooth, scenes, clean = measure_smooth(network), measure_scenes(network), measure_clean(network)
    lines += ["", f"* Smooth 1-megapixel gradient, sigma 25: {smooth[0]:.2f} dB in, {smooth[1]:.2f} dB out "
              f"({smooth[1] - smooth[0]:+.2f}).",
              f"* Eight drawn scenes that training did not see, sigma 25: {scenes[0]:.2f} dB in, {scenes[1]:.2f} dB out "
              f"({scenes[1] - scenes[0]:+.2f}).",
              f"* Clean pictures: the output is within {clean[0]:.2f} dB PSNR of the input ({clean[1]:.2f} dB in gray).",
              *(f"* Outside of what was trained, {what}: {noisy:.2f} dB in, {ours:.2f} dB out ({ours - noisy:+.2f})."
                for what, noisy, ours in measure_limits(network)),
              f"* Receptive field: {receptive_field(network.double())} px each way (support of the gradient).",
              f"* Tiles of 64 px with a halo of {HALO} px against the whole picture: "
              f"largest difference {measure_tiling(network.float()):.1e}."]
    lines += ["", "Gates:", ""]
    lines += [f"* {'passed' if passed else '**MISSED**'}: {sentence}" for sentence, passed in gates(rows)]
    return "\n".join(lines) + "\n", all(passed for _, passed in gates(rows))
