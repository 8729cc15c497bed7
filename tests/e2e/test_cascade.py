"""Where pictures are restored: previews, levels, good pictures left alone, and what a user is told about it."""

import json
from pathlib import Path

import cv2
import numpy as np

import pictures


def soft(width, height, seed):
    """Nothing in it is small: a smaller copy loses nothing."""
    small = np.random.default_rng(seed).integers(40, 215, (9, 12, 3)).astype(np.uint8)
    return cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC)


def mosaic(width, height, seed):
    """Stones of 3x4 pixels: a smaller copy loses nearly all of it."""
    stones = np.random.default_rng(seed).integers(0, 255, (height // 4, width // 3, 3)).astype(np.uint8)
    return np.kron(stones, np.ones((4, 3, 1), np.uint8))


def write(folder, name, pixels, **options):
    folder.mkdir(exist_ok=True)
    file = folder / name
    file.write_bytes(pictures.encoded(pixels, file.suffix, **options))
    return file


def kinds_of(client, job):
    return [event["kind"] for event in client.events_of(job)]


def test_only_the_preview_is_made_when_only_that_is_asked_for(make_daemon, tmp_path):
    daemon = make_daemon(preview={"megapixels": 0.1}).start()
    source = write(tmp_path / "in", "a.png", pictures.scene(1200, 800, seed=1))
    told = daemon.retouch("submit", "--preview-only", "--wait", "--json", source, "-o", tmp_path / "out.png", check=0)
    job = json.loads(told.stdout.splitlines()[-1])
    result = pictures.decoded(tmp_path / "out.png")
    assert result.shape[0] * result.shape[1] <= 0.1e6
    assert job["decision"]["route"] == "preview"
    assert daemon.metric("retouchd_time_to_preview_seconds_count") == 1
    assert kinds_of(daemon.client(), job["id"]) == ["accepted", "started", "preview", "decided", "done"]


def test_progressive_goes_as_far_up_as_a_picture_needs(make_daemon, tmp_path):
    daemon = make_daemon(preview={"megapixels": 0.1}, cascade={"policy": "progressive", "levels": [0.3], "good_enough": 36}).start()
    client, events = daemon.client(), daemon.events()
    calm = write(tmp_path / "in", "calm.png", soft(1200, 800, seed=1))
    rich = write(tmp_path / "in", "rich.png", mosaic(1200, 800, seed=2))
    ends = {}
    for file in (calm, rich):
        job = client.submit(file, output=tmp_path / "out" / file.name)
        assert events.wait_for_end(job)["kind"] == "done"
        ends[file.name] = client.job(job)
        assert pictures.decoded(tmp_path / "out" / file.name).shape == (800, 1200, 3)
    assert ends["calm.png"]["decision"]["code"] == "good_enough"
    assert "level" not in kinds_of(client, ends["calm.png"]["id"])
    assert ends["rich.png"]["decision"]["code"] == "all_levels"
    level = [event for event in client.events_of(ends["rich.png"]["id"]) if event["kind"] == "level"]
    assert [event["megapixels"] for event in level] == [0.3]
    assert pictures.decoded(Path(level[0]["path"])).shape[0] == level[0]["height"]
    # The calm one, made of its preview, is as good as if all of it had been restored.
    assert pictures.psnr(pictures.decoded(tmp_path / "out" / "calm.png"), soft(1200, 800, seed=1)) > 36

    text = daemon.retouch("explain", ends["calm.png"]["id"], check=0).stdout
    assert "progressive" in text and "good enough" in text and "0.1 megapixels" in text, text


def test_a_watched_folder_has_a_policy_of_its_own(make_daemon):
    daemon = make_daemon(preview={"megapixels": 0.1})
    folder, results = daemon.watch("in", "out", policy="progressive")
    daemon.start()
    events = daemon.events()
    write(folder, "a.png", soft(1200, 800, seed=4))
    job = events.wait(lambda event: event["kind"] == "done")["job"]
    told = daemon.client().job(job)
    assert told["policy"] == "progressive" and told["decision"]["route"] == "level"
    assert (results / "a.png").exists()


def test_pictures_that_are_good_are_passed_on_byte_for_byte(make_daemon, tmp_path):
    daemon = make_daemon(preview={"megapixels": 0.1}, cascade={"skip_good": True, "skip_share": 1.0}).start()
    client, events = daemon.client(), daemon.events()
    good = write(tmp_path / "in", "good.jpg", soft(1500, 1000, seed=5), quality=97)
    noisy = write(tmp_path / "in", "noisy.jpg", pictures.with_noise(pictures.scene(1500, 1000, seed=6), 25, seed=7), quality=97)
    jobs = {file: client.submit(file, output=tmp_path / "out" / file.name) for file in (good, noisy)}
    for job in jobs.values():
        assert events.wait_for_end(job)["kind"] == "done"
    assert client.job(jobs[good])["decision"]["route"] == "skip"
    assert (tmp_path / "out" / "good.jpg").read_bytes() == good.read_bytes()
    decision = client.job(jobs[noisy])["decision"]
    assert decision["route"] == "local" and decision["parts"]["gain"] > 0.5, decision
    assert daemon.metric("retouchd_decisions_total", route="skip", reason="already_good") == 1

    # A job that asks for restoration gets it.
    job = client.submit(good, output=tmp_path / "out" / "again.jpg", skip_good=False)
    assert events.wait_for_end(job)["kind"] == "done"
    assert client.job(job)["decision"]["route"] == "local"


def test_calibration_with_ones_own_pictures_takes_effect_with_a_reload(make_daemon, tmp_path):
    daemon = make_daemon(preview={"megapixels": 0.05}).start()
    client, events = daemon.client(), daemon.events()
    for number in range(24):
        picture = pictures.scene(600, 400, seed=100 + number)
        write(tmp_path / "own", f"{number}.jpg", cv2.GaussianBlur(picture, (0, 0), 0.5 + number / 6))
    job = client.submit(tmp_path / "own" / "0.jpg", output=tmp_path / "out" / "before.jpg")
    assert events.wait_for_end(job)["kind"] == "done"
    assert client.job(job)["decision"]["calibrated"] is False

    done = daemon.retouch("calibrate", tmp_path / "own", "--rate", "0.25", "--json", check=0)
    facts = json.loads(done.stdout)
    assert facts["pictures"] == 24 and facts["rate"] == 0.25
    calibration = daemon.home / "state" / "calibration.json"
    assert json.loads(calibration.read_text())["pictures"] == 24
    daemon.reload()
    below = 0
    for number in range(24):
        job = client.submit(tmp_path / "own" / f"{number}.jpg", output=tmp_path / "out" / f"{number}.jpg", preview=False)
        assert events.wait_for_end(job)["kind"] == "done"
        decision = client.job(job)["decision"]
        assert decision["calibrated"] is True
        below += decision["score"] < 0.9
    assert below == 6, "a quarter of the pictures that it was made with"

    calibration.write_text("{}")
    daemon.reload()
    assert str(calibration) in daemon.log()


def test_hybrid_without_a_node_is_refused_with_the_key_that_is_missing(make_daemon, tmp_path):
    daemon = make_daemon().start()
    source = write(tmp_path / "in", "a.png", pictures.scene(300, 200, seed=8))
    done = daemon.retouch("submit", "--policy", "hybrid", source, check=2)
    assert "cloud.node" in done.stderr
