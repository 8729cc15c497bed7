"""Clean pictures to learn from: photographs of the scikit-image wheel, and drawn scenes.

Photographs are halved (or reduced further) by an area filter, which removes most of their own noise and JPEG traces.
Drawn scenes are "dead leaves": shapes of all sizes (radius density r^-3) that cover one another, each with its own
colour and texture. Their edges, scales and contrasts follow the statistics of photographs closely enough that a
denoiser learnt from them alone comes near to one learnt from photographs (Achddou et al., 2021). Skies, text, hair
and window frames are added, for what leaves do not show. Scenes are drawn at twice their size and halved, so that
edges are as soft as a camera's.

Nothing is downloaded: only files inside the wheel are read. Pictures are uint8 RGB arrays [H, W, 3].
"""

import os

import cv2
import numpy as np
import skimage

WHEEL = os.path.join(os.path.dirname(skimage.__file__), "data")

HELD_OUT = ("astronaut.png", "chelsea.png")  # tests only

PHOTOGRAPHS = (
    "rocket.jpg", "hubble_deep_field.jpg", "coffee.png", "retina.jpg", "ihc.png",
    "camera.png", "brick.png", "grass.png", "gravel.png", "cell.png", "coins.png", "clock_motion.png", "text.png",
)
COLOURFUL = PHOTOGRAPHS[:5]  # taken twice as often as the gray ones
PALETTES = ("rocket.jpg", "coffee.png", "retina.jpg", "ihc.png")  # whose colours drawn scenes borrow
REDUCTIONS = (0.5, 0.3)
SMALLEST_SIDE = 136  # leaves room for the largest crop


def read_photograph(name):
    picture = cv2.imread(os.path.join(WHEEL, name), cv2.IMREAD_COLOR)
    return cv2.cvtColor(picture, cv2.COLOR_BGR2RGB)


def reduced_photographs():
    """[(picture, weight)]: every photograph at each reduction that leaves enough of it."""
    found = []
    for name in PHOTOGRAPHS:
        photograph = read_photograph(name)
        kept = []
        for factor in REDUCTIONS:
            reduced = cv2.resize(photograph, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)
            if min(reduced.shape[:2]) >= SMALLEST_SIDE or not kept:
                kept.append(enlarge_to(reduced, SMALLEST_SIDE))
        weight = (2.0 if name in COLOURFUL else 1.0) / len(kept)
        found += [(picture, weight) for picture in kept]
    return found


def enlarge_to(picture, side):
    """Mirrors the picture outwards until both sides are at least `side`."""
    down = max(0, side - picture.shape[0])
    right = max(0, side - picture.shape[1])
    return cv2.copyMakeBorder(picture, 0, down, 0, right, cv2.BORDER_REFLECT_101)


class ScenePainter:
    """Draws scenes of `side` x `side` pixels. One seed, one sequence of scenes."""

    def __init__(self, seed, side=352):
        self.random = np.random.default_rng(seed)
        self.side = side
        self.canvas_side = 2 * side
        self.photographs = [read_photograph(name) for name in PALETTES]
        self.textures = [self._texture(kind) for kind in range(24)]

    def paint(self):
        canvas = self._background()
        kind = self.random.random()
        if kind < 0.62:
            if self.random.random() < 0.5:  # out-of-focus things behind sharp ones
                self._leaves(canvas, count=250, smallest=16)
                canvas = cv2.GaussianBlur(canvas, (0, 0), self.random.uniform(3, 14))
                count = int(self.random.integers(20, 700))
            else:
                count = int(self.random.integers(400, 2200))
            self._leaves(canvas, count, smallest=float(self.random.choice([3, 6, 12])))
        elif kind < 0.72:
            self._leaves(canvas, 150, smallest=20)
            canvas = cv2.GaussianBlur(canvas, (0, 0), 8)
            self._hair(canvas, int(self.random.integers(800, 6000)))
        elif kind < 0.82:
            self._leaves(canvas, int(self.random.integers(0, 60)), smallest=20)
            self._text(canvas, int(self.random.integers(10, 60)))
        elif kind < 0.92:
            self._windows(canvas)
            self._leaves(canvas, int(self.random.integers(0, 80)), smallest=6)
        # else: an empty sky or wall
        self._lines(canvas, int(self.random.integers(0, 14)))
        scene = cv2.resize(canvas, (self.side, self.side), interpolation=cv2.INTER_AREA)
        return np.clip(scene, 0, 255).astype(np.uint8)

    # Colours and textures

    def _palette(self):
        """Colours of one photograph, or invented ones."""
        if self.random.random() < 0.65:
            photograph = self.photographs[self.random.integers(len(self.photographs))]
            rows = self.random.integers(photograph.shape[0], size=64)
            columns = self.random.integers(photograph.shape[1], size=64)
            colours = photograph[rows, columns].astype(np.float32)
            if colours.mean() < 60 or self.random.random() < 0.4:  # stretched, as some of the photographs are dark
                low, high = colours.min(), colours.max() + 1
                colours = (colours - low) * (255 / (high - low))
            return colours
        base = self.random.uniform(0, 255, (64, 1))
        saturation = self.random.uniform(0, 90)
        return np.clip(base + self.random.normal(0, saturation, (64, 3)), 0, 255).astype(np.float32)

    def _colour(self, palette):
        colour = palette[self.random.integers(len(palette))] + self.random.normal(0, 6, 3)
        return np.clip(colour, 0, 255).astype(np.float32)

    def _texture(self, kind):
        """A gray texture with mean 0 and deviation 1: waves or a sum of octaves (1/f noise)."""
        side = self.canvas_side
        if kind % 4 == 0:
            angle, period = self.random.uniform(0, np.pi), self.random.uniform(4, 60)
            rows, columns = np.mgrid[0:side, 0:side].astype(np.float32)
            phase = (rows * np.sin(angle) + columns * np.cos(angle)) * (2 * np.pi / period)
            wobble = cv2.resize(self.random.normal(0, 1, (12, 12)).astype(np.float32), (side, side),
                                interpolation=cv2.INTER_CUBIC)
            field = np.sin(phase + wobble * self.random.uniform(0, 4))
            if kind % 8 == 0:
                field = np.sign(field) * np.abs(field) ** 0.3
        else:
            field = np.zeros((side, side), np.float32)
            roughness = self.random.uniform(0.35, 0.95)
            for octave in range(2, 10):
                stretch = self.random.choice([1, 1, 2])
                grid = self.random.normal(0, 1, (2 ** octave, max(2, 2 ** octave // stretch))).astype(np.float32)
                field += roughness ** octave * cv2.resize(grid, (side, side), interpolation=cv2.INTER_CUBIC)
        return ((field - field.mean()) / field.std()).astype(np.float32)

    def _textured(self, height, width, colour, contrast):
        texture = self.textures[self.random.integers(len(self.textures))]
        top = self.random.integers(self.canvas_side - height + 1)
        left = self.random.integers(self.canvas_side - width + 1)
        tint = self.random.uniform(0.6, 1.0, 3).astype(np.float32) * contrast
        return colour + texture[top:top + height, left:left + width, None] * tint

    def _background(self):
        """A smooth gradient between up to nine colours, now and then in visible bands."""
        self.palette = self._palette()
        side = self.canvas_side
        corners = np.stack([self._colour(self.palette) for _ in range(9)]).reshape(3, 3, 3)
        if self.random.random() < 0.5:
            corners = corners.mean((0, 1)) + 0.25 * (corners - corners.mean((0, 1)))
        canvas = cv2.resize(np.ascontiguousarray(corners, np.float32), (side, side), interpolation=cv2.INTER_CUBIC)
        if self.random.random() < 0.5:
            canvas += self._textured(side, side, np.zeros(3, np.float32), self.random.uniform(0, 10))
        if self.random.random() < 0.15:
            band = self.random.uniform(1, 5)
            canvas = np.round(canvas / band) * band
        return np.clip(canvas, 0, 255).astype(np.float32)

    # Things to draw; each changes the canvas in place

    def _leaves(self, canvas, count, smallest):
        largest = self.canvas_side * 0.35
        uniform = self.random.random(count)
        radii = (smallest ** -2 + uniform * (largest ** -2 - smallest ** -2)) ** -0.5  # density r^-3
        calm = self.random.random() < 0.3
        for radius in radii:
            outline = self._outline(radius)
            outline += self.random.uniform(0, self.canvas_side, 2)
            left, top = np.maximum(outline.min(0).astype(int), 0)
            right, bottom = np.minimum(outline.max(0).astype(int) + 2, self.canvas_side)
            if right - left < 2 or bottom - top < 2:
                continue
            mask = np.zeros((bottom - top, right - left), np.uint8)
            cv2.fillPoly(mask, [np.round(outline - (left, top)).astype(np.int32)], 1)
            contrast = 0 if calm and self.random.random() < 0.7 else self.random.exponential(12)
            leaf = self._textured(bottom - top, right - left, self._colour(self.palette), contrast)
            if self.random.random() < 0.4:  # shading from one side to the other
                slope = np.linspace(-1, 1, right - left, dtype=np.float32)[None, :, None]
                leaf = leaf + slope * self.random.normal(0, 25)
            region = canvas[top:bottom, left:right]
            np.copyto(region, np.clip(leaf, 0, 255), where=mask[..., None].astype(bool))

    def _outline(self, radius):
        shape = self.random.random()
        if shape < 0.5:
            corners = 24
            angles = np.linspace(0, 2 * np.pi, corners, endpoint=False)
            lengths = np.ones(corners)
            if shape < 0.2:
                lengths += 0.25 * np.sin(angles * self.random.integers(2, 6) + self.random.uniform(0, 6))
        else:
            corners = int(self.random.integers(3, 8))
            angles = np.sort(self.random.uniform(0, 2 * np.pi, corners))
            lengths = self.random.uniform(0.6, 1.2, corners)
        points = radius * lengths[:, None] * np.stack([np.cos(angles), np.sin(angles)], 1)
        points[:, 1] *= self.random.uniform(0.25, 1)
        turn = self.random.uniform(0, 2 * np.pi)
        return points @ np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])

    def _hair(self, canvas, count):
        direction = self.random.uniform(0, 2 * np.pi)
        spread, contrast = self.random.uniform(0.1, 0.5), self.random.uniform(8, 40)
        base = self._colour(self.palette)
        for _ in range(count):
            turn = direction + self.random.normal(0, spread)
            steps = np.cumsum(np.full(8, self.random.uniform(4, 14)))
            bend = turn + np.linspace(0, self.random.normal(0, 0.6), 8)
            start = self.random.uniform(-40, self.canvas_side + 40, 2)
            points = start + steps[:, None] * np.stack([np.cos(bend), np.sin(bend)], 1)
            colour = np.clip(base + self.random.normal(0, contrast) + self.random.normal(0, 6, 3), 0, 255)
            cv2.polylines(canvas, [np.round(points).astype(np.int32)], False, colour.tolist(),
                          int(self.random.integers(1, 5)))

    def _text(self, canvas, count):
        letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.,:-/&!?"
        ink = self._colour(self.palette)
        if self.random.random() < 0.5:
            ink = np.full(3, float(self.random.choice([15, 240])))
        mask = np.zeros(canvas.shape[:2], np.uint8)
        for _ in range(count):
            words = "".join(self.random.choice(list(letters), int(self.random.integers(2, 24))))
            x, y = self.random.integers(-60, self.canvas_side, 2).tolist()
            cv2.putText(mask, words, (x, y), int(self.random.integers(0, 8)), float(self.random.uniform(0.6, 4)), 255,
                        int(self.random.integers(1, 6)))
        opacity = mask[..., None].astype(np.float32) / 255
        canvas += opacity * (ink - canvas)

    def _windows(self, canvas):
        """Walls with bright panes and frames: hard straight edges between very different levels."""
        for _ in range(int(self.random.integers(1, 5))):
            width, height = self.random.integers(60, 360, 2)
            left, top = self.random.integers(-60, self.canvas_side - 60, 2)
            frame, pane = self._colour(self.palette), np.clip(self._colour(self.palette) + 80, 0, 255)
            cv2.rectangle(canvas, (int(left), int(top)), (int(left + width), int(top + height)), frame.tolist(), -1)
            across, down = int(self.random.integers(1, 5)), int(self.random.integers(1, 5))
            bar = int(self.random.integers(3, 14))
            for column in range(across):
                for row in range(down):
                    x0 = int(left + bar + column * width / across)
                    y0 = int(top + bar + row * height / down)
                    x1 = int(left + (column + 1) * width / across - bar)
                    y1 = int(top + (row + 1) * height / down - bar)
                    if x1 > x0 and y1 > y0:
                        cv2.rectangle(canvas, (x0, y0), (x1, y1), pane.tolist(), -1)

    def _lines(self, canvas, count):
        for _ in range(count):
            start, end = self.random.integers(0, self.canvas_side, (2, 2)).tolist()
            cv2.line(canvas, start, end, self._colour(self.palette).tolist(), int(self.random.integers(1, 7)))


class ClippingPool:
    """Hands out clean crops: half from photographs, half from drawn scenes (kept in memory, drawn once)."""

    def __init__(self, seed, scene_count):
        painter = ScenePainter(seed)
        self.scenes = [painter.paint() for _ in range(scene_count)]
        self.photographs, weights = zip(*reduced_photographs())
        self.weights = np.array(weights) / sum(weights)
        self.random = np.random.default_rng(seed + 1)

    def crops(self, count, side):
        """uint8 [count, side, side, 3], each turned and mirrored at random."""
        batch = np.empty((count, side, side, 3), np.uint8)
        chosen = self.random.choice(len(self.photographs), count, p=self.weights)
        for i in range(count):
            if i % 2:
                picture = self.photographs[chosen[i]]
            else:
                picture = self.scenes[self.random.integers(len(self.scenes))]
            top = self.random.integers(picture.shape[0] - side + 1)
            left = self.random.integers(picture.shape[1] - side + 1)
            crop = picture[top:top + side, left:left + side]
            turn = self.random.integers(8)
            if turn & 1:
                crop = crop[::-1]
            if turn & 2:
                crop = crop[:, ::-1]
            if turn & 4:
                crop = crop.transpose(1, 0, 2)
            batch[i] = crop
        return batch
