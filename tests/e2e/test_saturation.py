"""What a busy device does to pictures: nothing. Devices fail and get lost, tiles of many pictures share batches, crashes come."""

import json
import time
from pathlib import Path

import cv2
import numpy as np
import pytest

import pictures

LARGE = (3296, 2192)


def texture(width, height, seed, channels=3, dtype=np.uint8):
    """Full of contrast and different everywhere, so that no tile can take another one's place unseen."""
    random = np.random.default_rng(seed)
    shape = (height, width) if channels == 1 else (height, width, channels)
    return random.integers(0, np.iinfo(dtype).max, shape, dtype, endpoint=True)


def photograph(width, height, seed):
    return pictures.with_noise(pictures.scene(width, height, seed=seed), 20, seed=seed + 1)


def album(folder):
    """{file: pixels}: PNG pictures of every kind, of one tile and of many."""
    kinds = [(3, np.uint8), (1, np.uint8), (4, np.uint8), (3, np.uint16), (1, np.uint16)]
    sizes = [(1300, 900), (64, 48), (240, 180), (900, 1300), (1000, 200), (256, 256), (257, 255), (1100, 800), (640, 480),
             (31, 500), (800, 800), (1200, 700)]
    folder.mkdir()
    drawn = {}
    for index, (width, height) in enumerate(sizes):
        channels, dtype = kinds[index % len(kinds)]
        pixels = texture(width, height, index, channels, dtype)
        file = folder / f"{index:02d}.png"
        file.write_bytes(pictures.encoded(pixels, ".png"))
        drawn[file] = pixels
    return drawn


def submit_all(client, files, folder, **options):
    """{id: output}"""
    return {client.submit(file, output=folder / file.name, **options): folder / file.name for file in files}


def check_done(events, jobs):
    for job in jobs:
        end = events.wait_for_end(job)
        assert end["kind"] == "done", end
        retries = [event["message"] for event in events.of(job) if event["kind"] == "retrying"]
        assert not retries, retries


def check_unchanged(originals, folder):
    """A simulated device changes nothing."""
    for file, pixels in originals.items():
        result = pictures.decoded(folder / file.name)
        assert result.dtype == pixels.dtype and np.array_equal(result, pixels), file.name


def restore_until(client, events, folder, condition):
    """One small picture after the other, as long as `condition()` does not hold."""
    source = folder / "one-more.png"
    source.write_bytes(pictures.encoded(texture(300, 200, seed=1), ".png"))
    for number in range(2_000):
        if condition():
            return
        check_done(events, [client.submit(source, output=folder / f"one-more-{number}.png", preview=False)])
    raise AssertionError("it did not come to hold")


def test_a_device_that_fails_in_every_way_costs_no_picture_and_no_pixel(make_daemon, tmp_path):
    # Calls 1 to 9 compute at least nine tiles, so the first three faults happen. Call 10 is made again in smaller ones, which are
    # over by call 70. Three calls at once may be lost before the device is asked whether it answers; the fourth is that question.
    faults = "fault=nan@2 fault=constant@5 fault=range@8 fault=oom@10 fault=lost@70+4"
    originals = album(tmp_path / "in")
    daemon = make_daemon(device="simulated", simulation=f"rate=2000 {faults}", tile={"size": 256, "batch": 2}).start()
    client, events = daemon.client(), daemon.events()
    jobs = submit_all(client, originals, tmp_path / "out")
    check_done(events, jobs)

    check_unchanged(originals, tmp_path / "out")
    rerun = {reason: daemon.metric("retouchd_tiles_rerun_total", device="sim:0", reason=reason)
             for reason in ("not_finite", "constant", "range", "out_of_memory", "device_lost")}
    print(f"\ntiles computed again: {rerun}")
    assert [rerun[reason] for reason in ("not_finite", "constant", "range")] == [1, 1, 1], rerun
    assert rerun["out_of_memory"] >= 1 and rerun["device_lost"] >= 1, rerun
    assert "sim:0 does not answer and is taken out" in daemon.log()
    # Tiles of the lost batch were left for the only device there is.
    assert daemon.metric("retouchd_device_up", device="sim:0") == 1
    assert sum(client.job(job)["details"]["tiles"] > 1 for job in jobs) >= 6
    assert daemon.stop() == 0


@pytest.mark.parametrize("fault", ["nan@1", "constant@2", "range@3", "lost@2+4"])
def test_a_tile_that_is_computed_in_parts_is_as_safe_as_any(make_daemon, tmp_path, fault):
    # The first call is a single tile, which memory is too small for.
    daemon = make_daemon(device="simulated", simulation=f"rate=2000 fault=oom@1 fault={fault}", tile={"size": 256, "batch": 1},
                         retry={"backoff": ["1s"]}).start()
    client, events = daemon.client(), daemon.events()
    (tmp_path / "in").mkdir()
    source, pixels = tmp_path / "in/one-tile.png", texture(250, 250, seed=1)
    source.write_bytes(pictures.encoded(pixels, ".png"))
    jobs = submit_all(client, [source], tmp_path / "out", preview=False)
    check_done(events, jobs)
    assert daemon.metric("retouchd_tiles_rerun_total", reason="out_of_memory") == 1
    check_unchanged({source: pixels}, tmp_path / "out")


def test_two_devices_that_get_lost_and_come_back_finish_everything(make_daemon, tmp_path):
    # Each device counts its own calls. While one is lost the other one goes on until its own loss, which comes for certain, as
    # there are more than twice as many batches as a device may compute before.
    originals = album(tmp_path / "in")
    daemon = make_daemon(device="simulated,simulated", simulation="rate=2000 fault=lost@12+4", tile={"size": 256, "batch": 2},
                         retry={"backoff": ["1s"]}).start()
    client, events = daemon.client(), daemon.events()
    check_done(events, submit_all(client, originals, tmp_path / "out"))

    check_unchanged(originals, tmp_path / "out")
    for device in ("sim:0", "sim:1"):
        assert daemon.metric("retouchd_tiles_rerun_total", device=device, reason="device_lost") >= 1, device
        assert f"{device} does not answer and is taken out" in daemon.log()
        assert daemon.metric("retouchd_device_busy_seconds_total", device=device) > 0, device
    restore_until(client, events, tmp_path, lambda: daemon.metric("retouchd_device_up") == 2)
    assert daemon.stop() == 0


def test_pictures_that_come_while_every_device_is_lost_wait_for_one(make_daemon, tmp_path):
    daemon = make_daemon(device="simulated,simulated", simulation="rate=2000 fault=lost@2+6", tile={"batch": 1},
                         retry={"backoff": ["1s"]}).start()
    client, events = daemon.client(), daemon.events()
    long, small = tmp_path / "long.png", tmp_path / "small.png"
    long.write_bytes(pictures.encoded(texture(1500, 1000, seed=1), ".png"))
    small.write_bytes(pictures.encoded(texture(250, 250, seed=2), ".png"))
    first = client.submit(long, output=tmp_path / "out.png", preview=False)
    end = time.monotonic() + 60
    while daemon.metric("retouchd_device_up") > 0:
        assert time.monotonic() < end, "the devices were not lost"
    late = [client.submit(small, output=tmp_path / f"out-{number}.png", preview=False) for number in range(3)]
    check_done(events, [first, *late])


def test_a_device_that_stays_lost_leaves_its_work_to_the_other_one(make_daemon, tmp_path):
    daemon = make_daemon(device="simulated,cpu", simulation="rate=2000 fault=lost@3+1000000", tile={"size": 256}).start()
    client, events = daemon.client(), daemon.events()
    (tmp_path / "in").mkdir()
    sources = {tmp_path / "in" / f"{n}.png": photograph(500 + 20 * n, 300, seed=n) for n in range(6)}
    for file, pixels in sources.items():
        file.write_bytes(pictures.encoded(pixels, ".png"))
    check_done(events, submit_all(client, sources, tmp_path / "out"))
    # The simulated device may have been too late for three batches.
    restore_until(client, events, tmp_path, lambda: daemon.metric("retouchd_device_up", device="sim:0") == 0)
    check_done(events, submit_all(client, sources, tmp_path / "again"))

    for file, pixels in sources.items():
        assert pictures.decoded(tmp_path / "again" / file.name).shape == pixels.shape
    assert daemon.metric("retouchd_tiles_rerun_total", device="sim:0", reason="device_lost") >= 1
    assert daemon.metric("retouchd_device_up", device="sim:0") == 0
    assert daemon.metric("retouchd_device_up", device="cpu") == 1
    assert daemon.http("/readyz")[0] == 200
    assert daemon.stop() == 0


@pytest.mark.parametrize("deterministic", [True, False], ids=["deterministic", "by default"])
def test_a_picture_among_others_is_restored_as_if_alone(make_daemon, tmp_path, deterministic):
    target = tmp_path / "target.png"
    target.write_bytes(pictures.encoded(photograph(900, 700, seed=5), ".png"))
    random = np.random.default_rng(3)
    others = []
    for index in range(20):
        width, height = (int(side) for side in random.integers(60, 560, 2))
        others.append(tmp_path / f"other-{index}.png")
        others[-1].write_bytes(pictures.encoded(photograph(width, height, seed=20 + index), ".png"))

    daemon = make_daemon(deterministic=deterministic, tile={"batch": 4}).start()
    client, events = daemon.client(), daemon.events()
    check_done(events, [client.submit(target, output=tmp_path / "alone.png")])
    shared_before = shared_batches(daemon)
    jobs = {}
    for file in [*others[:10], target, *others[10:]]:
        jobs |= submit_all(client, [file], tmp_path / "together")
    check_done(events, jobs)

    assert shared_batches(daemon) > shared_before, "no batch had tiles of several pictures"
    alone = pictures.decoded(tmp_path / "alone.png").astype(int)
    together = pictures.decoded(tmp_path / "together" / target.name).astype(int)
    assert not np.array_equal(alone, pictures.decoded(target))
    largest = np.abs(alone - together).max()
    print(f"\nlargest difference: {largest} of 255")
    assert largest <= (0 if deterministic else 1)
    if deterministic:
        assert (tmp_path / "alone.png").read_bytes() == (tmp_path / "together" / target.name).read_bytes()
    assert daemon.stop() == 0


def shared_batches(daemon):
    return daemon.metric("retouchd_batch_pictures_count") - daemon.metric("retouchd_batch_pictures_bucket", le="1")


def test_a_long_picture_goes_on_where_kill_9_met_it(make_daemon, tmp_path):
    source = tmp_path / "long.png"
    source.write_bytes(pictures.encoded(photograph(2400, 1800, seed=8), ".png", compress_level=1))
    daemon = make_daemon(deterministic=True, tile={"size": 256}, resume={"longer_than": "0s"}).start()
    client, events = daemon.client(), daemon.events()
    calm = client.submit(source, output=tmp_path / "calm.png", preview=False)
    check_done(events, [calm])
    assert "resumed_tiles" not in client.job(calm)["details"]

    job = client.submit(source, output=tmp_path / "met.png", preview=False)
    unfinished = Path(daemon.settings["state_dir"]) / "unfinished"
    log = unfinished / f"{job}.tiles"

    def has_kept_tiles(event):
        return (event["job"] == job and event["kind"] == "progress" and event["done"] >= 6 and event["done"] < event["total"] / 2
                and log.stat().st_size > 2 * 256 * 256 * 3)  # more than one tile: so one is whole

    progress = events.wait(has_kept_tiles, what="progress with tiles on disk")
    daemon.kill()
    print(f"\nkilled after {progress['done']} of {progress['total']} tiles; {log.stat().st_size >> 10} KiB of tiles on disk")

    daemon.start()
    client, events = daemon.client(), daemon.events()
    if client.job(job)["state"] != "done":
        assert events.wait_for_end(job)["kind"] == "done"
    status = json.loads(daemon.retouch("status", job, "--json", check=0).stdout)
    assert status["state"] == "done" and status["crashes"] == 1, status
    resumed = daemon.metric("retouchd_tiles_resumed_total")
    print(f"{resumed:.0f} tiles were not computed again; seam ratio {status['details']['seam_ratio']:.3f}")
    assert 1 <= status["details"]["resumed_tiles"] == resumed < progress["total"]
    assert (tmp_path / "met.png").read_bytes() == (tmp_path / "calm.png").read_bytes()
    assert daemon.stop() == 0
    assert list(unfinished.iterdir()) == []


def test_a_small_picture_does_not_wait_for_a_backlog_of_large_ones(make_daemon, tmp_path):
    smooth = cv2.resize(texture(LARGE[0] // 8, LARGE[1] // 8, seed=1), LARGE)
    large, small = tmp_path / "large.jpg", tmp_path / "small.jpg"
    large.write_bytes(pictures.encoded(smooth, ".jpg", quality=90))
    small.write_bytes(pictures.encoded(photograph(360, 280, seed=2), ".jpg", quality=90))
    daemon = make_daemon(device="simulated", simulation="rate=60").start()
    client, events = daemon.client(), daemon.events()
    # All at once: the small one must not come late because somebody waits for replies.
    for number in range(50):
        client.send({"v": 1, "op": "submit", "path": str(large), "output": str(tmp_path / f"large-{number}.jpg")})
    client.send({"v": 1, "op": "submit", "path": str(small), "output": str(tmp_path / "small-restored.jpg")})
    replies = [client.receive()[0] for _ in range(51)]
    assert all(reply["ok"] for reply in replies), replies
    urgent = next(reply["job"] for reply in replies if reply["name"] == small.name)
    backlog = [reply["job"] for reply in replies if reply["job"] != urgent]

    check_done(events, [urgent])
    events.wait(lambda event: event["kind"] == "done" and event["job"] != urgent, what="the first of the backlog")
    order = [event["job"] for event in events.seen if event["kind"] == "done"]
    print(f"\ndone before the small picture: {order.index(urgent)} of the backlog")
    assert order.index(urgent) <= 1, order
    for job in backlog:
        client.call("cancel", job=job)
    for job in backlog:
        assert events.wait_for_end(job)["kind"] in ("done", "cancelled")
    assert daemon.stop() == 0


def test_top_tells_how_busy_a_device_is(make_daemon, tmp_path):
    source = tmp_path / "long.png"
    source.write_bytes(pictures.encoded(texture(2000, 1500, seed=4), ".png", compress_level=1))
    daemon = make_daemon(device="simulated", simulation="rate=4 batch_gain=1", tile={"batch": 1}).start()
    client, events = daemon.client(), daemon.events()
    job = client.submit(source, output=tmp_path / "out.png", preview=False)
    events.wait_for(job, "progress")
    stats = json.loads(daemon.retouch("top", "--once", "--json", check=0).stdout)
    shown = daemon.retouch("top", "--once", check=0).stdout

    assert {"version", "device", "network", "uptime_s", "ready", "draining", "jobs", "jobs_per_minute", "devices", "memory",
            "queues", "clients", "client_count", "fairness", "running"} <= stats.keys()
    (device,) = stats["devices"]
    assert device["name"] == "sim:0" and device["up"] is True
    assert 0 < device["busy_ratio"] <= 1
    assert 0 <= device["batch_fill"] <= 1 and device["waste_ratio"] >= 1 and device["tiles_per_s"] > 0
    assert set(device["starved_s"]) == {"no_work", "decode", "preview", "upload", "merge", "encode", "memory"}
    assert stats["jobs"]["running"] == 1
    (running,) = stats["running"]
    assert running["id"] == job and 1 <= running["done"] < running["total"]
    assert [one["name"] for one in stats["clients"]] == ["zmq"] and stats["clients"][0]["waiting"] is True
    assert 0 <= daemon.metric("retouchd_device_busy_ratio", device="sim:0") <= 1
    assert 0 <= daemon.metric("retouchd_batch_fill_ratio") <= 1

    assert "student-tiny" in shown and "long.png" in shown
    (line,) = [line for line in shown.splitlines() if line.startswith("sim:0")]
    assert "[" in line and "%" in line
    client.call("cancel", job=job)
    assert events.wait_for_end(job)["kind"] == "cancelled"
    assert daemon.stop() == 0
