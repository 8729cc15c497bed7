"""Makes the noisy pictures of ../samples from public-domain and CC0 photographs. The same files every time."""

import argparse
import os

import cv2
import numpy as np
from PIL import ExifTags, Image, ImageCms

from pictures import read_photograph

ROTATE_TO_SHOW = 6  # EXIF orientation: a viewer turns the stored pixels clockwise by 90 degrees


def with_noise(picture, sigma, seed):
    random = np.random.default_rng(seed)
    return np.clip(np.round(picture + random.normal(0, sigma, picture.shape)), 0, 255).astype(np.uint8)


def exif(artist, rights, description, orientation):
    tags = Image.Exif()
    tags[ExifTags.Base.Artist] = artist
    tags[ExifTags.Base.Copyright] = rights
    tags[ExifTags.Base.ImageDescription] = description
    tags[ExifTags.Base.Orientation] = orientation
    return tags


def srgb_profile():
    """An sRGB profile with a fixed date, so that the files do not change from run to run."""
    profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    profile[24:36] = b"\x07\xea\0\x01\0\x01\0\0\0\0\0\0"  # header field "date and time": 2026-01-01
    return bytes(profile)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", required=True)
    folder = parser.parse_args().out

    astronaut = with_noise(read_photograph("astronaut.png"), 25, seed=1)
    Image.fromarray(np.ascontiguousarray(np.rot90(astronaut))).save(
        os.path.join(folder, "astronaut-sigma25.jpg"), quality=95,
        exif=exif("NASA", "Public domain", "Eileen Collins, with added noise of sigma 25", ROTATE_TO_SHOW))

    chelsea = with_noise(read_photograph("chelsea.png"), 15, seed=2)
    Image.fromarray(chelsea).save(os.path.join(folder, "chelsea-sigma15.png"), optimize=True)

    camera = with_noise(read_photograph("camera.png")[..., 0], 25, seed=3)
    Image.fromarray(camera).save(os.path.join(folder, "camera-gray-sigma25.png"), optimize=True)

    coffee = cv2.resize(read_photograph("coffee.png"), (1600, 1066), interpolation=cv2.INTER_CUBIC)
    Image.fromarray(with_noise(coffee, 12, seed=4)).save(
        os.path.join(folder, "coffee-sigma12.jpg"), quality=80, icc_profile=srgb_profile(),
        exif=exif("Rachel Michetti", "CC0 1.0", "Coffee cup, enlarged, with added noise of sigma 12", 1))


if __name__ == "__main__":
    main()
