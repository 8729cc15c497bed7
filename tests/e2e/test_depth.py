"""Pairs through the real programs: a picture and its depth, or the two views of a dual-pixel camera, restored together."""

import json
import time

import cv2
import numpy as np
import pytest
from PIL import Image

import make_networks
import pictures

WIDTH, HEIGHT = 480, 360
NETWORK = "rgbd-tiny"


def room(seed):
    """(colour uint8, depth in metres): a floor, a wall and a slanted one, balls and boxes before them."""
    random = np.random.default_rng(seed)
    rows, columns = np.mgrid[-1:1:HEIGHT * 1j, -1:1:WIDTH * 1j].astype(np.float32)
    planes = [np.full_like(rows, 1 / 3.5), (rows + 0.1) * 0.9, (columns - 0.3) * 0.7]  # inverse depth; the nearest one shows
    inverse, colour = planes[0], np.empty((HEIGHT, WIDTH, 3), np.float32)
    colour[:] = 200, 190, 170
    for plane, paint in zip(planes[1:], ((120, 90, 60), (150, 165, 180))):
        shown = plane > inverse
        inverse, colour[shown] = np.maximum(inverse, plane), paint
    for _ in range(12):
        x, y, size, near = *random.uniform(-0.85, 0.85, 2), random.uniform(0.08, 0.25), random.uniform(0.4, 0.8)
        down, right = (rows - y) / size, (columns - x) / size
        is_ball = random.random() < 0.5
        inside = down ** 2 + right ** 2 < 1 if is_ball else np.maximum(abs(down), abs(right)) < 0.8
        bulge = np.sqrt(np.clip(1 - down ** 2 - right ** 2, 0, 1)) if is_ball else 0.1 * right
        surface = near * (1 + 0.1 * bulge)
        shown = inside & (surface > inverse)
        light = (0.6 + 0.4 * bulge) if is_ball else np.ones_like(rows)
        colour[shown] = (random.uniform(40, 230, 3) * light[..., None])[shown]
        inverse = np.where(shown, surface, inverse)
    colour += random.normal(0, 2, colour.shape)
    return np.clip(colour, 0, 255).astype(np.uint8), 1 / inverse


def as_a_camera_sees(depth, seed):
    """uint16 millimetres: noise of a structured-light camera; nothing beside near edges, in specks and in two discs."""
    random = np.random.default_rng(seed)
    noisy = depth + random.normal(0, 1, depth.shape) * (0.0012 + 0.0019 * (depth - 0.4) ** 2)
    holes = random.random(depth.shape) < 0.03
    for step in range(1, 7):
        holes[:, step:] |= depth[:, step:] > 1.08 * depth[:, :-step]
    discs = np.zeros(depth.shape, np.uint8)
    for _ in range(2):
        cv2.circle(discs, tuple(int(c) for c in random.uniform((60, 60), (WIDTH - 60, HEIGHT - 60))), 20, 1, -1)
    return np.where(holes | (discs > 0), 0, np.round(noisy * 1000)).astype(np.uint16)


def nearest_fill(depth):
    missing = (depth == 0).astype(np.uint8)
    labels = cv2.distanceTransformWithLabels(missing, cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL)[1]
    values = np.zeros(labels.max() + 1, depth.dtype)
    values[labels[missing == 0]] = depth[missing == 0]
    return values[labels]


class Pair:
    def __init__(self, seed):
        colour, self.clean = room(seed)
        self.given = as_a_camera_sees(self.clean, seed)
        self.colour = pictures.encoded(colour, ".jpg", quality=95, exif=pictures.exif(), icc_profile=pictures.profile())
        self.depth = pictures.encoded(self.given, ".png")

    def error(self, millimetres, where):
        return float(np.abs(millimetres.astype(np.float64) - 1000 * self.clean)[where].mean())

    def check(self, file):
        """A depth picture, whole, nearer to the truth than what was given, in holes nearer than the nearest known value."""
        restored = pictures.decoded(file)
        assert restored.dtype == np.uint16 and restored.shape == (HEIGHT, WIDTH)
        assert restored.all(), "holes are left"
        known, holes = self.given > 0, self.given == 0
        others = nearest_fill(self.given)
        figures = [self.error(picture, where) for where in (known, holes) for picture in (restored, others)]
        print("\nmean error in mm, restored and nearest: known {:.2f} {:.2f}, holes {:.2f} {:.2f}".format(*figures))
        assert figures[0] < 0.6 * figures[1]
        assert figures[2] < 0.6 * figures[3]
        with Image.open(file) as picture:
            assert not picture.info.get("icc_profile") and not picture.getexif(), "depth has no colours and no exposure"


@pytest.fixture(scope="module")
def pair():
    return Pair(seed=5)


def is_result(file):
    """For Events.wait."""
    return lambda event: event["kind"] == "done" and event["output"] == str(file)


def wait_for(condition, timeout=60):
    end = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < end, "it did not come to hold"
        time.sleep(0.05)


def test_pairs_that_arrive_in_a_watched_folder(make_daemon, pair):
    daemon = make_daemon()
    folder, restored = daemon.watch(network=NETWORK)
    (folder / "early.depth.png").write_bytes(pair.depth)  # there before the daemon
    daemon.start()
    client, events = daemon.client(), daemon.events()

    (folder / "attic").mkdir()
    (folder / "attic" / "room.jpg").write_bytes(pair.colour)
    (folder / "attic" / "room.depth.png").write_bytes(pair.depth)
    result = restored / "attic" / "room.depth.png"
    events.wait(is_result(result))
    pair.check(result)

    (folder / "early.jpg").write_bytes(pair.colour)
    events.wait(is_result(restored / "early.depth.png"))
    assert (restored / "early.depth.png").read_bytes() == result.read_bytes()

    # Depth that changes makes the pair a new one.
    newer = Pair(seed=6)
    (folder / "early.depth.png").write_bytes(newer.depth)
    wait_for(lambda: (restored / "early.depth.png").read_bytes() != result.read_bytes())
    wait_for(lambda: all(job["state"] == "done" for job in client.jobs()))
    assert [job["name"] for job in client.jobs()] == ["attic/room.jpg", "early.jpg", "early.jpg"]
    assert daemon.stop() == 0

    daemon.start()
    wait_for(lambda: daemon.metric("retouchd_watch_files_total", result="duplicate") >= 2)
    assert len(daemon.client().jobs()) == 3, "a restart makes no pair a job again"


def test_depth_that_comes_late(make_daemon, pair):
    daemon = make_daemon()
    folder, restored = daemon.watch(network=NETWORK)
    daemon.start()
    client, events = daemon.client(), daemon.events()
    (folder / "room.jpg").write_bytes(pair.colour)
    report = restored / "room.jpg.error.txt"
    wait_for(report.exists)
    assert "room.jpg needs room.depth.png beside it" in report.read_text()
    assert (folder / "room.jpg").exists()

    (folder / "room.depth.png").write_bytes(pair.depth)
    events.wait(is_result(restored / "room.depth.png"))
    pair.check(restored / "room.depth.png")
    wait_for(lambda: not report.exists())
    assert [(job["state"], job["name"]) for job in client.jobs()] == [("failed", "room.jpg"), ("done", "room.jpg")]


def test_originals_of_a_pair_go_together(make_daemon, pair):
    daemon = make_daemon()
    originals = daemon.home / "originals"
    folder, _ = daemon.watch(network=NETWORK, on_success="move", move_to=str(originals))
    daemon.start()
    (folder / "room.depth.png").write_bytes(pair.depth)
    (folder / "room.jpg").write_bytes(pair.colour)
    wait_for(lambda: not list(folder.iterdir()))
    assert (originals / "room.jpg").read_bytes() == pair.colour
    assert (originals / "room.depth.png").read_bytes() == pair.depth


def test_pairs_by_path(make_daemon, pair, tmp_path):
    daemon = make_daemon(network=NETWORK).start()
    client, events = daemon.client(), daemon.events()
    room = tmp_path / "room.jpg"
    room.write_bytes(pair.colour)
    (tmp_path / "room.depth.png").write_bytes(pair.depth)

    # Named after the depth picture, unless another name is asked for; JPEG cannot hold depth.
    job = client.submit(room)
    assert events.wait_for_end(job)["output"] == str(tmp_path / "room_restored.depth.png")
    pair.check(tmp_path / "room_restored.depth.png")
    details = client.job(job)["details"]
    assert details["companion"]["path"] == str(tmp_path / "room.depth.png")
    job = client.submit(room, output=tmp_path / "filled.jpg")
    assert events.wait_for_end(job)["output"] == str(tmp_path / "filled.png")

    # A folder holds one picture here: depth is none of its own, nor is the earlier result.
    (tmp_path / "filled.png").unlink()
    answer = daemon.retouch("submit", "--wait", "--json", tmp_path, "-o", tmp_path / "out", check=0)
    assert [json.loads(line)["source"] for line in answer.stdout.splitlines()] == [str(room)]
    assert (tmp_path / "out" / "room.depth.png").read_bytes() == (tmp_path / "room_restored.depth.png").read_bytes()

    # Bytes have nothing beside them.
    job = client.submit(content=pair.colour, name="room.jpg")
    assert events.wait_for_end(job)["kind"] == "failed"
    error = client.job(job)["error"]
    assert error["code"] == "invalid_request" and "submit it by path" in error["message"], error

    # Whose depth was not turned with it, when nobody can tell.
    (tmp_path / "turned.jpg").write_bytes(pictures.encoded(pictures.decoded(pair.colour), ".jpg", exif=pictures.exif(3)))
    (tmp_path / "turned.depth.png").write_bytes(pair.depth)
    job = client.submit(tmp_path / "turned.jpg")
    assert events.wait_for_end(job)["kind"] == "failed"
    assert "EXIF orientations are 1 and 3" in client.job(job)["error"]["message"]


def test_depth_that_changes_meanwhile(make_daemon, pair, tmp_path):
    daemon = make_daemon(network=NETWORK, tile={"size": 256}).start()  # most of a tile is context, so this takes a while
    client, events = daemon.client(), daemon.events()
    large = [cv2.resize(picture, None, fx=2, fy=2, interpolation=cv2.INTER_NEAREST)
             for picture in (pictures.decoded(pair.colour), pair.given)]
    (tmp_path / "room.png").write_bytes(pictures.encoded(large[0], ".png"))
    (tmp_path / "room.depth.png").write_bytes(pictures.encoded(large[1], ".png"))
    job = client.submit(tmp_path / "room.png")
    events.wait_for(job, "progress")
    flat = np.full(large[1].shape, 1000, np.uint16)
    (tmp_path / "room.depth.png").write_bytes(pictures.encoded(flat, ".png"))
    again = events.wait_for(job, "retrying")
    assert again["code"] == "input_changed" and "room.depth.png changed" in again["message"], again
    assert events.wait_for_end(job)["kind"] == "done"
    assert abs(pictures.decoded(tmp_path / "room_restored.depth.png").astype(int) - 1000).mean() < 20


def test_the_two_views_of_a_dual_pixel_camera(make_daemon, tmp_path):
    tensors = make_networks.restormer()
    random = np.random.default_rng(3)
    tensors["patch_embed.proj.weight"] = (random.standard_normal((16, 6, 3, 3)) * 0.1).astype(np.float32)
    tensors["skip_conv.weight"] = (random.standard_normal((32, 16, 1, 1)) * 0.1).astype(np.float32)
    make_networks.write_safetensors(tmp_path / "models" / "two-views.safetensors", tensors)
    daemon = make_daemon(model_dirs=[str(tmp_path / "models")])
    folder, restored = daemon.watch(network="two-views")
    daemon.start()
    client, events = daemon.client(), daemon.events()
    view = pictures.encoded(pictures.scene(160, 120, seed=1), ".png")
    (folder / "scan.png").write_bytes(view)
    (folder / "scan.right.png").write_bytes(view)
    events.wait(is_result(restored / "scan.png"))
    assert pictures.kind_of(pictures.decoded(restored / "scan.png")) == ("colour", 8)
    assert [job["name"] for job in client.jobs()] == ["scan.png"]
