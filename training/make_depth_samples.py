"""Draws a room and its depth: room.png, room.depth.png (16 bits, mm, noise and holes), room.clean.depth.png.

The same files every time, with the same versions of the packages.
"""

import argparse
import os

import cv2
import numpy as np

import rgbd_degrade
from rgbd_report import with_faults
from rgbd_scenes import RgbdPainter

SEED, WIDTH, HEIGHT = 4, 640, 480


class RoomPainter(RgbdPainter):
    """A floor, three walls, a poster, and things to trip over. Places are shares of the picture's width."""

    def paint_pair(self):
        self.light = np.array([1.0, 2.0])
        side = self.canvas_side
        inverse = np.full((side, side), 1 / 3.6, np.float32)
        canvas = self._plain(side, side, (196, 190, 176), 3)
        for plane, colour, contrast in (((self.rows - 0.12) * 0.95, (126, 92, 62), 16),
                                        ((-self.columns - 0.35) * 0.75, (150, 162, 172), 3),
                                        ((self.columns - 0.45) * 0.9, (170, 172, 158), 3)):
            shown = plane > inverse
            np.copyto(canvas, self._plain(side, side, colour, contrast), where=shown[..., None])
            np.copyto(inverse, plane, where=shown)
        cv2.rectangle(canvas, *self._box(0.42, 0.27, 0.62, 0.47), (222, 226, 230), -1)  # flat: no edge in depth
        cv2.circle(canvas, self._at(0.52, 0.36), side // 16, (204, 96, 40), -1)
        self._ellipse(canvas, inverse, (0.34, 0.70), (0.09, 0.09), (176, 52, 40), 1 / 1.7, 0.12)  # ball
        self._ellipse(canvas, inverse, (0.79, 0.58), (0.055, 0.16), (60, 120, 84), 1 / 2.0, 0.1)  # vase
        self._crate(canvas, inverse, 0.47, 0.62, 0.67, 0.80, (186, 140, 84), 1 / 1.9)
        self._crate(canvas, inverse, 0.50, 0.53, 0.60, 0.62, (92, 96, 150), 1 / 2.1)
        for left in (0.14, 0.17, 0.20, 0.23):  # the back of a chair
            self._crate(canvas, inverse, left, 0.48, left + 0.009, 0.86, (70, 44, 28), 1 / 1.4)
        self._crate(canvas, inverse, 0.13, 0.48, 0.25, 0.50, (70, 44, 28), 1 / 1.4)
        self._crate(canvas, inverse, 0.13, 0.66, 0.27, 0.69, (70, 44, 28), 1 / 1.35)
        self._crate(canvas, inverse, 0.885, 0.26, 0.893, 0.90, (30, 30, 34), 1 / 1.5)  # a lamp
        self._ellipse(canvas, inverse, (0.889, 0.29), (0.05, 0.035), (240, 226, 190), 1 / 1.5, 0.04)
        colour = cv2.resize(canvas, (self.side, self.side), interpolation=cv2.INTER_AREA)
        rows = slice((self.side - HEIGHT) // 2, (self.side + HEIGHT) // 2)
        return np.clip(colour, 0, 255).astype(np.uint8)[rows], np.ascontiguousarray(inverse[::2, ::2])[rows]

    def _at(self, x, y):
        return int(x * self.canvas_side), int(y * self.canvas_side)

    def _box(self, left, top, right, bottom):
        return self._at(left, top), self._at(right, bottom)

    def _plain(self, height, width, colour, contrast):
        return np.clip(self._textured(height, width, np.array(colour, np.float32), contrast), 0, 255)

    def _ellipse(self, canvas, inverse, centre, radii, colour, distance, bulge):
        (left, top), (right, bottom) = self._box(centre[0] - radii[0], centre[1] - radii[1],
                                                 centre[0] + radii[0], centre[1] + radii[1])
        rows, columns = np.ogrid[-1:1:(bottom - top) * 1j, -1:1:(right - left) * 1j]
        inside = np.clip(1 - rows ** 2 - columns ** 2, 0, 1).astype(np.float32)
        light = 0.55 + 0.5 * np.sqrt(inside) * (1 - 0.5 * (rows + columns)).astype(np.float32)
        surface = np.clip(self._plain(bottom - top, right - left, colour, 3) * light[..., None], 0, 255)
        self._draw(canvas, inverse, top, left, inside > 0, surface, distance * (1 + bulge * np.sqrt(inside)))

    def _crate(self, canvas, inverse, left, top, right, bottom, colour, distance):
        (left, top), (right, bottom) = self._box(left, top, right, bottom)
        height, width = bottom - top, right - left
        tilt = 1 + np.linspace(0.03, -0.03, width, dtype=np.float32)[None].repeat(height, 0)
        self._draw(canvas, inverse, top, left, np.ones((height, width), bool), self._plain(height, width, colour, 6),
                   distance * tilt)


def write_millimetres(path, depth):
    cv2.imwrite(path, np.round(depth * 1000).clip(0, 65535).astype(np.uint16))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", required=True, help="folder for the three files")
    folder = parser.parse_args().out

    colour, inverse = RoomPainter(SEED, side=WIDTH).paint_pair()
    colour = rgbd_degrade.degrade_colour(colour.astype(np.float32) / 255, np.random.default_rng(SEED))
    eight_bits = np.round(colour * 255).astype(np.uint8)
    cv2.imwrite(os.path.join(folder, "room.png"), cv2.cvtColor(eight_bits, cv2.COLOR_RGB2BGR))
    write_millimetres(os.path.join(folder, "room.depth.png"), with_faults(colour, inverse, SEED))
    write_millimetres(os.path.join(folder, "room.clean.depth.png"), 1 / inverse)


if __name__ == "__main__":
    main()
