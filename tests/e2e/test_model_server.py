"""A model server as the device: a real NVIDIA Triton computes what the daemon's own device does, and may go and come back."""

import time

import cv2
import numpy as np
import pytest

import pictures
import triton
from triton import Triton

pytestmark = pytest.mark.skipif(not triton.IS_HERE, reason="there is no Triton (scripts/setup --tests)")

# {name: (width, height, channels, dtype)}; the last one is a 7 MP photograph.
PICTURES = {"tiny": (31, 20, 3, np.uint8), "small": (240, 181, 3, np.uint8), "gray": (700, 512, 1, np.uint8),
            "deep": (513, 640, 3, np.uint16), "long": (1500, 130, 3, np.uint8), "large": (3296, 2192, 3, np.uint8)}


@pytest.fixture
def make_triton(tmp_path):
    servers = []

    def make(**options):
        servers.append(Triton(tmp_path / f"triton-{len(servers)}", **options))
        return servers[-1]

    yield make
    for server in servers:
        server.remove()


def noisy(width, height, channels, dtype, seed=1):
    drawn = pictures.scene(width, height, seed=seed)
    if channels == 1:
        drawn = cv2.cvtColor(drawn, cv2.COLOR_RGB2GRAY)
    if dtype == np.uint16:
        drawn = drawn.astype(np.uint16) * 257
    return pictures.with_noise(drawn, 20, seed=seed + 1)


def write(folder, drawn):
    folder.mkdir(exist_ok=True)
    for name, pixels in drawn.items():
        (folder / f"{name}.png").write_bytes(pictures.encoded(pixels, ".png"))


def restore(daemon, source, output, names):
    """Restores SOURCE/NAME.png into OUTPUT/NAME.png with a running daemon; the seconds it took."""
    client, events = daemon.client(), daemon.events()
    begin = time.monotonic()
    jobs = [client.submit(source / f"{name}.png", output=output / f"{name}.png", preview=False) for name in names]
    for job in jobs:
        end = events.wait_for_end(job, timeout=300)
        assert end["kind"] == "done", end
    return time.monotonic() - begin


def largest_difference(one, other, margin=0):
    """In steps of 8 bits, but for `margin` pixels at the right and below."""
    first, second = pictures.decoded(one), pictures.decoded(other)
    assert first.shape == second.shape and first.dtype == second.dtype
    inner = (slice(0, first.shape[0] - margin), slice(0, first.shape[1] - margin))
    first, second = first[inner], second[inner]
    return np.abs(first.astype(np.int32) - second.astype(np.int32)).max().item() / (np.iinfo(first.dtype).max / 255)


def test_a_model_server_restores_pictures_as_the_own_device_does(make_daemon, make_triton, tmp_path):
    write(tmp_path / "in", {name: noisy(*kind) for name, kind in PICTURES.items()})
    here = make_daemon().start()
    seconds_here = restore(here, tmp_path / "in", tmp_path / "here", PICTURES)
    assert here.stop() == 0

    server = make_triton().start()
    daemon = make_daemon(device=server.url).start()
    seconds_there = restore(daemon, tmp_path / "in", tmp_path / "there", PICTURES)
    assert daemon.metric("retouchd_device_up", device=f"server:127.0.0.1:{server.port}") == 1
    assert daemon.stop() == 0
    differences = {name: largest_difference(tmp_path / f"here/{name}.png", tmp_path / f"there/{name}.png") for name in PICTURES}
    print(f"\nlargest differences in steps of 8 bits: {differences}; {seconds_here:.1f} s here, {seconds_there:.1f} s there")
    assert max(differences.values()) <= 1
    assert largest_difference(tmp_path / "in/large.png", tmp_path / "there/large.png") > 10  # something was done


def test_a_server_that_is_killed_in_the_middle_of_a_picture_and_comes_back_finishes_it(make_daemon, make_triton, tmp_path):
    write(tmp_path / "in", {"large": noisy(*PICTURES["large"])})
    server = make_triton().start()
    daemon = make_daemon(device=server.url, retry={"backoff": ["1s"]}).start()
    restore(daemon, tmp_path / "in", tmp_path / "calm", ["large"])
    client, events = daemon.client(), daemon.events()
    job = client.submit(tmp_path / "in/large.png", output=tmp_path / "stormy/large.png", preview=False)
    events.wait(lambda event: event["job"] == job and event["kind"] == "progress" and event["done"] >= 4, what="some tiles")
    server.kill()
    device = f"server:127.0.0.1:{server.port}"
    end = time.monotonic() + 60
    while daemon.metric("retouchd_device_up", device=device) == 1:
        assert time.monotonic() < end, "the server was not missed"
    server.start()
    end = events.wait_for_end(job, timeout=120)
    assert end["kind"] == "done", end
    assert not [event for event in events.of(job) if event["kind"] == "retrying"]
    assert f"{device} answers again" in daemon.log()
    assert daemon.metric("retouchd_tiles_rerun_total", device=device, reason="device_lost") >= 1
    assert largest_difference(tmp_path / "calm/large.png", tmp_path / "stormy/large.png") <= 1
    assert daemon.stop() == 0


def test_the_own_cpu_and_a_server_share_the_work_and_one_is_enough(make_daemon, make_triton, tmp_path):
    write(tmp_path / "in", {"large": noisy(*PICTURES["large"])})
    server = make_triton().start()
    device = f"server:127.0.0.1:{server.port}"
    daemon = make_daemon(device=f"cpu,{server.url}", workers={"infer": 1}).start()
    restore(daemon, tmp_path / "in", tmp_path / "both", ["large"])
    for name in ("cpu", device):
        assert daemon.metric("retouchd_device_busy_seconds_total", device=name) > 0, name
    server.kill()
    restore(daemon, tmp_path / "in", tmp_path / "alone", ["large"])
    assert largest_difference(tmp_path / "both/large.png", tmp_path / "alone/large.png") <= 1
    assert daemon.stop() == 0


def test_tiles_become_as_small_as_a_model_of_fixed_size_takes(make_daemon, make_triton, tmp_path):
    write(tmp_path / "in", {"picture": noisy(900, 700, 3, np.uint8)})
    here = make_daemon().start()
    restore(here, tmp_path / "in", tmp_path / "here", ["picture"])
    assert here.stop() == 0
    server = make_triton()
    config = server.repository / "student-tiny/config.pbtxt"
    config.write_text(config.read_text().replace("[ 3, -1, -1 ]", "[ 3, 256, 320 ]"))
    server.start()
    daemon = make_daemon(device=server.url).start()
    restore(daemon, tmp_path / "in", tmp_path / "there", ["picture"])
    assert daemon.metric("retouchd_tiles_rerun_total", reason="out_of_memory") >= 1
    # Where the picture ends and the tensor goes on, the network sees a reflection instead of nothing: as far as it looks.
    here, there = tmp_path / "here/picture.png", tmp_path / "there/picture.png"
    assert largest_difference(here, there, margin=40) <= 1
    assert largest_difference(here, there) <= 16
    assert daemon.stop() == 0


def test_a_server_without_the_model_is_named(make_daemon, make_triton):
    server = make_triton()
    (server.repository / "student-tiny").rename(server.repository / "other")
    config = server.repository / "other/config.pbtxt"
    config.write_text(config.read_text().replace('"student-tiny"', '"other"'))
    server.start()
    daemon = make_daemon(device=server.url)
    with pytest.raises(AssertionError, match="instead of getting ready"):
        daemon.start()
    assert f"model server {server.url}: has no model student-tiny" in daemon.log()


def test_a_server_that_is_away_is_named(make_daemon):
    daemon = make_daemon(device="http://127.0.0.1:1")
    with pytest.raises(AssertionError, match="instead of getting ready"):
        daemon.start()
    assert "model server http://127.0.0.1:1" in daemon.log()
