"""Drawn scenes with depth: rooms and slopes full of leaves that hide one another by depth.

The world is made of planes, which are linear in inverse depth (1/m) on the picture, and of leaves: flat and tilted, or
round. Whatever is nearer hides what is behind. Colour follows the same shapes: each surface has its own colour,
texture and brightness, round ones are shaded. Now and then it does not follow: posters, text and shadows change the
colour only, and neighbours may share a colour. Scenes are drawn at twice their size; colour is halved by an area
filter, as in a camera, depth by taking every second value, as a depth camera's mixed pixels are added later.
"""

import cv2
import numpy as np

from pictures import ScenePainter

NEAREST, FARTHEST = 0.3, 25.0  # metres


class RgbdPainter(ScenePainter):
    """Draws pairs of `side` x `side` pixels. One seed, one sequence of pairs."""

    def __init__(self, seed, side=288):
        super().__init__(seed, side)
        self.rows, self.columns = np.mgrid[-1:1:self.canvas_side * 1j, -1:1:self.canvas_side * 1j].astype(np.float32)

    def paint_pair(self):
        """(colour, uint8 RGB [side, side, 3]; inverse depth in 1/m, float32 [side, side])."""
        self.palette = self._palette()
        self.light = self.random.normal(0, 1, 2)
        canvas, inverse = self._room() if self.random.random() < 0.75 else self._slope()
        if self.random.random() < 0.5:
            self._leaves(canvas, int(self.random.integers(1, 25)), smallest=8)  # posters: colour only
        if self.random.random() < 0.25:
            self._text(canvas, int(self.random.integers(1, 15)))
        self._objects(canvas, inverse, int(np.exp(self.random.uniform(np.log(8), np.log(220)))))
        self._rods(canvas, inverse, int(self.random.integers(0, 14)))
        if self.random.random() < 0.15:
            self._fence(canvas, inverse)
        if self.random.random() < 0.2:
            self._text(canvas, int(self.random.integers(1, 6)))
        if self.random.random() < 0.5:
            self._shadows(canvas)
        colour = cv2.resize(canvas, (self.side, self.side), interpolation=cv2.INTER_AREA)
        return np.clip(colour, 0, 255).astype(np.uint8), np.ascontiguousarray(inverse[::2, ::2])

    def _back(self):
        """Inverse depth of the far end: mostly 0.8 to 10 m."""
        if self.random.random() < 0.15:
            return 1 / self.random.uniform(8, 0.9 * FARTHEST)
        return np.exp(-self.random.uniform(np.log(0.8), np.log(10)))

    def _room(self):
        """Back wall, floor, ceiling, side walls. Seen from inside, the nearest plane is the one that shows."""
        back = self._back()
        tilt = self.random.normal(0, 0.2, 2)
        planes = [back * (1 + tilt[0] * self.columns + tilt[1] * self.rows)]
        for across, share in ((self.rows, 0.7), (-self.rows, 0.3), (self.columns, 0.35), (-self.columns, 0.35)):
            if self.random.random() < share:
                horizon = self.random.uniform(-0.6, 0.5)
                planes.append(back * self.random.uniform(1.2, 5) * (across - horizon) / (1 - horizon))
        planes = np.stack(planes)
        planes *= min(1, 1 / NEAREST / planes.max())
        canvas = np.empty((*self.rows.shape, 3), np.float32)
        shown = planes.argmax(0)
        for i in range(len(planes)):
            surface = self._surface(self.canvas_side, self.canvas_side) * self.random.uniform(0.6, 1.1)
            np.copyto(canvas, surface, where=(shown == i)[..., None])
        return canvas, np.clip(planes.max(0), 1 / FARTHEST, 1 / NEAREST)

    def _slope(self):
        """One curved backdrop, shaded by its shape."""
        knots = int(self.random.integers(2, 6))
        relief = self.random.normal(0, self.random.uniform(0, 0.4), (knots, knots)).astype(np.float32)
        relief = cv2.resize(relief, self.rows.shape, interpolation=cv2.INTER_CUBIC)
        canvas = self._background()
        canvas *= np.clip(1 + self._shade(relief), 0.3, 1.5)[..., None]
        return canvas, np.clip(self._back() * np.exp(relief), 1 / FARTHEST, 1 / NEAREST).astype(np.float32)

    def _surface(self, height, width):
        contrast = 0 if self.random.random() < 0.3 else self.random.exponential(10)
        return np.clip(self._textured(height, width, self._colour(self.palette), contrast), 0, 255)

    def _shade(self, relief):
        """Brightness of a surface from its slopes, as if lit from the side."""
        down, right = np.gradient(relief)
        return np.tanh((down * self.light[0] + right * self.light[1]) * self.random.uniform(10, 60)) * 0.5

    def _draw(self, canvas, inverse, top, left, mask, surface, surface_inverse):
        """Puts a surface where it is in front of what is there."""
        bottom, right = top + mask.shape[0], left + mask.shape[1]
        behind = inverse[top:bottom, left:right]
        shown = mask.astype(bool) & (surface_inverse > behind)
        np.copyto(canvas[top:bottom, left:right], surface, where=shown[..., None])
        np.copyto(behind, np.clip(surface_inverse, 1 / FARTHEST, 1 / NEAREST), where=shown)

    def _objects(self, canvas, inverse, count):
        side = self.canvas_side
        smallest, largest = float(self.random.choice([6, 12, 24])), side * 0.35
        radii = (smallest ** -2 + self.random.random(count) * (largest ** -2 - smallest ** -2)) ** -0.5
        radii = np.concatenate([radii, self.random.uniform(40, largest, self.random.integers(0, 9))])
        span = np.log(self.random.uniform(1.5, 8))
        back = float(np.median(inverse))
        for radius in radii:
            outline = self._outline(radius) + self.random.uniform(0, side, 2)
            left, top = np.maximum(outline.min(0).astype(int), 0)
            right, bottom = np.minimum(outline.max(0).astype(int) + 2, side)
            if right - left < 3 or bottom - top < 3:
                continue
            height, width = bottom - top, right - left
            mask = np.zeros((height, width), np.uint8)
            cv2.fillPoly(mask, [np.round(outline - (left, top)).astype(np.int32)], 1)
            surface = self._surface(height, width) * self.random.uniform(0.6, 1.1)
            if self.random.random() < 0.4:  # close to what it hides, as a book on a table
                distance = float(inverse[(top + bottom) // 2, (left + right) // 2]) * self.random.uniform(1.005, 1.2)
            else:
                distance = back * np.exp(self.random.uniform(0, span))
            rows, columns = np.ogrid[-1:1:height * 1j, -1:1:width * 1j]
            tilt = self.random.normal(0, 0.15, 2) if self.random.random() < 0.6 else (0, 0)
            relief = (tilt[0] * rows + tilt[1] * columns).astype(np.float32)
            if self.random.random() < 0.45:  # round, like a ball or a pillar
                flat = self.random.random() < 0.5
                bulge = np.sqrt(np.clip(1 - columns ** 2 - (0 if flat else rows ** 2), 0, 1)).astype(np.float32)
                relief = relief + self.random.uniform(0.02, 0.3) * bulge
                surface = surface * np.clip(1 + self._shade(relief), 0.3, 1.5)[..., None]
            self._draw(canvas, inverse, top, left, mask, np.clip(surface, 0, 255), distance * np.exp(relief))

    def _rods(self, canvas, inverse, count):
        """Cables, legs of chairs, twigs: thin and before the rest."""
        for _ in range(count):
            points = np.cumsum(np.vstack([self.random.uniform(0, self.canvas_side, 2),
                                          self.random.normal(0, 60, (int(self.random.integers(1, 5)), 2))]), 0)
            mask = np.zeros(inverse.shape, np.uint8)
            cv2.polylines(mask, [np.round(points).astype(np.int32)], False, 1, int(self.random.integers(2, 12)))
            self._draw(canvas, inverse, 0, 0, mask, self._surface(*inverse.shape),
                       float(np.median(inverse)) * self.random.uniform(1.1, 4))

    def _fence(self, canvas, inverse):
        period, bar = int(self.random.integers(16, 80)), int(self.random.integers(3, 12))
        mask = np.zeros(inverse.shape, np.uint8)
        mask[:, np.arange(self.canvas_side) % period < bar] = 1
        if self.random.random() < 0.5:
            mask[np.arange(self.canvas_side) % period < bar] = 1
        turn = cv2.getRotationMatrix2D((self.canvas_side / 2,) * 2, self.random.normal(0, 15), 1.0)
        mask = cv2.warpAffine(mask, turn, mask.shape, flags=cv2.INTER_NEAREST)
        tilt = np.exp(self.random.normal(0, 0.2) * self.columns)
        self._draw(canvas, inverse, 0, 0, mask, self._surface(*inverse.shape),
                   float(np.median(inverse)) * self.random.uniform(1.2, 3) * tilt)

    def _shadows(self, canvas):
        knots = int(self.random.integers(2, 9))
        field = cv2.resize(self.random.normal(0, 1, (knots, knots)).astype(np.float32), self.rows.shape,
                           interpolation=cv2.INTER_CUBIC)
        edge = self.random.uniform(1, 15)
        canvas *= (1 - self.random.uniform(0.1, 0.7) / (1 + np.exp(-edge * field)))[..., None]


class PairPool:
    """Hands out crops of clean pairs, drawn once and kept in memory."""

    def __init__(self, seed, scene_count):
        painter = RgbdPainter(seed)
        self.pairs = [painter.paint_pair() for _ in range(scene_count)]
        self.random = np.random.default_rng(seed + 1)

    def crops(self, count, side):
        """(uint8 [count, side, side, 3], float32 [count, side, side]), turned, mirrored and scaled in depth at random."""
        colours = np.empty((count, side, side, 3), np.uint8)
        inverses = np.empty((count, side, side), np.float32)
        for i in range(count):
            colour, inverse = self.pairs[self.random.integers(len(self.pairs))]
            top, left = self.random.integers(colour.shape[0] - side + 1, size=2)
            region = slice(top, top + side), slice(left, left + side)
            colour, inverse = colour[region], inverse[region]
            turn = self.random.integers(8)
            if turn & 1:
                colour, inverse = colour[::-1], inverse[::-1]
            if turn & 2:
                colour, inverse = colour[:, ::-1], inverse[:, ::-1]
            if turn & 4:
                colour, inverse = colour.transpose(1, 0, 2), inverse.T
            colours[i] = colour
            inverses[i] = np.clip(inverse * np.exp(self.random.uniform(-0.4, 0.4)), 1 / FARTHEST, 1 / NEAREST)
        return colours, inverses
