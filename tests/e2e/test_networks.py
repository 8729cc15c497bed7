"""Networks of the user's through the real programs: upsampling, restoring whole and in tiles, weights that change, and tools."""

import io
import json
import shutil
import signal

import numpy as np
import pytest
from PIL import Image

import make_networks
import pictures


@pytest.fixture
def models(tmp_path):
    """An empty model folder."""
    folder = tmp_path / "models"
    folder.mkdir()
    return folder


@pytest.fixture
def make(make_daemon, models):
    """make(**settings): a Daemon, not started, that looks into `models` first. Its tiles are small, so that there are many, and its
    results are compared bit for bit, so they must not depend on what else is computed."""
    return lambda **settings: make_daemon(**{"model_dirs": [str(models)], "tile": {"size": 256}, "deterministic": True, **settings})


@pytest.fixture
def picture(tmp_path):
    """640x480 pixels with some noise, as PNG."""
    file = tmp_path / "picture.png"
    file.write_bytes(pictures.encoded(pictures.with_noise(pictures.scene(640, 480, seed=21), 10, seed=22), ".png"))
    return file


def restore(daemon, file, output, network=None, timeout=300):
    """The result's pixels and the job's details."""
    client, events = daemon.client(), daemon.events()
    job = client.submit(file, output=output, preview=False, **({"network": network} if network else {}))
    end = events.wait_for_end(job, timeout)
    assert end["kind"] == "done", end
    return pictures.decoded(output), client.job(job)["details"]


def reload(daemon):
    daemon.process.send_signal(signal.SIGHUP)
    assert daemon.notify.wait_for("RELOADING=1", daemon.process)
    assert daemon.notify.wait_for("READY=1", daemon.process)


def listed(daemon):
    """What `retouch models --json` says, by name."""
    lines = daemon.retouch("models", "--json", check=0).stdout.splitlines()
    return {model["name"]: model for model in map(json.loads, lines)}


def largest_difference(a, b):
    return int(np.abs(a.astype(np.int64) - b.astype(np.int64)).max())


def borders_of(length, side, scale, multiple=8):
    """Where neighbouring tiles of a global network meet: in the middle of what both see, 64 pixels of the result."""
    overlap = 2 * max(1, 32 // scale // multiple) * multiple
    length = -(-length // multiple) * multiple
    count = -(-(length - overlap) // (side - overlap))
    origins = [n * ((length - side) // multiple) // (count - 1) * multiple for n in range(count)] if count > 1 else []
    return [(left + right + side) // 2 for left, right in zip(origins, origins[1:])]


def seam_ratio(change, tile, scale=1):
    """How much steeper `change` (what the network did) is across the borders of tiles than elsewhere; 1: no seam."""
    worst = 0
    for axis, side in ((0, tile[1]), (1, tile[0])):
        steps = np.abs(np.diff(change.astype(np.float64), axis=axis)).mean(axis=tuple({0, 1, 2} - {axis}))
        borders = [scale * border for border in borders_of(change.shape[axis] // scale, side, scale)]
        assert borders, "nothing to look at"
        worst = max(worst, steps[[border - 1 for border in borders]].mean() / steps.mean())
    return worst


# --- super-resolution ---


@pytest.fixture
def upsampler(models):
    """A DRCT whose weights make it repeat every pixel four times along both axes."""
    shutil.copy(make_networks.GOLDEN / "drct-nearest-x4.safetensors", models / "nearest-x4.safetensors")
    return "nearest-x4"


def four_times(pixels):
    return np.repeat(np.repeat(pixels, 4, axis=0), 4, axis=1)


def test_super_resolution_enlarges_four_times_without_seams(make, upsampler, tmp_path):
    small, profile = pictures.with_noise(pictures.scene(640, 480, seed=31), 5, seed=32), pictures.profile()
    file = tmp_path / "small.jpg"
    file.write_bytes(pictures.encoded(small, ".jpg", quality=95, subsampling=0, exif=pictures.exif(), icc_profile=profile))
    small = pictures.decoded(file)
    deep_pixels = (small[:240, :320].astype(np.uint16) << 8) + np.random.default_rng(33).integers(0, 256, (240, 320, 3), np.uint16)
    deep = tmp_path / "deep.png"
    deep.write_bytes(pictures.encoded(deep_pixels, ".png"))
    daemon = make(tile={"size": 256, "batch": 2}).start()

    # Pixel for pixel: neighbouring tiles agree to the last bits, so nothing of their borders is left.
    pixels, details = restore(daemon, deep, tmp_path / "deep-x4.png", upsampler)
    assert details["tiles"] > 1 and details["mode"] == "tiled", details
    assert pixels.dtype == np.uint16
    assert largest_difference(pixels, four_times(deep_pixels)) <= 2

    large, details = restore(daemon, file, tmp_path / "large.jpg", upsampler)
    assert large.shape == (1920, 2560, 3)
    similarity = pictures.psnr(large, four_times(small))
    seams = seam_ratio(large.astype(np.int64) - four_times(small), details["tile"], scale=4)
    print(f"\n{details['tiles']} tiles against repeated pixels: {similarity:.1f} dB (of JPEG), seams {seams:.3f}")
    assert similarity > 35 and seams < 1.25
    with Image.open(io.BytesIO((tmp_path / "large.jpg").read_bytes())) as result:
        assert result.getexif()[0x010F] == "Example Cameras"
        assert result.getexif().get_ifd(0x8769)[0x9003] == "2026:11:21 07:40:34"
        assert result.info["icc_profile"] == profile
    peak = daemon.memory("VmHWM")
    print(f"peak {peak / 2**20:.0f} MiB of 2048")
    assert peak < 2 << 30, "the budget (memory: 2GiB) holds for results 16 times the size, too"
    assert daemon.stop() == 0


# --- restoring whole and in tiles ---


def test_the_built_in_network_gives_the_same_pixels_whole_and_in_tiles(make, tmp_path):
    noisy = pictures.with_noise(pictures.scene(600, 450, seed=41), 25, seed=42)
    deep = noisy.astype(np.uint16) * 257
    results = {}
    for mode in ("tiled", "single_pass"):
        daemon = make(mode=mode).start()
        for name, pixels in (("8.png", noisy), ("16.png", deep)):
            file = tmp_path / name
            file.write_bytes(pictures.encoded(pixels, ".png"))
            results[mode, name], details = restore(daemon, file, tmp_path / f"{mode}-{name}")
            assert details["mode"] == mode, details
            assert (details["tiles"] == 1) == (mode == "single_pass")
        assert daemon.stop() == 0
    assert largest_difference(results["tiled", "8.png"], results["single_pass", "8.png"]) == 0
    assert largest_difference(results["tiled", "16.png"], results["single_pass", "16.png"]) <= 1


def test_a_restormer_restores_in_every_mode(make, models, picture, tmp_path):
    make_networks.write_safetensors(models / "small-restormer.safetensors", make_networks.restormer())
    shutil.copy(models / "small-restormer.safetensors", models / "looks-near.safetensors")
    (models / "looks-near.yaml").write_text("attention: local\ntask: denoise\nlicense: CC0\n")
    noisy = pictures.decoded(picture)
    changes = {}
    for mode in ("auto", "single_pass"):
        daemon = make(mode=mode).start()
        for network in ("small-restormer", "looks-near"):
            pixels, details = restore(daemon, picture, tmp_path / f"{network}-{mode}.png", network)
            assert pixels.shape == noisy.shape
            changes[network, mode] = pixels.astype(np.int64) - noisy.astype(np.int64), details
        if mode == "auto":
            near = listed(daemon)["looks-near"]
            assert (near["state"], near["task"], near["license"]) == ("valid", "denoise", "CC0"), near
        assert daemon.stop() == 0

    tiled, details = changes["small-restormer", "auto"]
    assert details["mode"] == "tiled" and details["tiles"] > 1, "global attention was trained on parts"
    tile = details["tile"]
    assert 0.5 < np.abs(tiled).mean() < 20, "a mild restorer, but it does something"
    whole, details = changes["small-restormer", "single_pass"]
    assert details["mode"] == "single_pass" and details["tiles"] == 1
    error = np.square((tiled - whole).astype(np.float64)).mean()
    similarity = 10 * np.log10(255 * 255 / error)
    # The picture has edges of its own at those places; the whole shows how steep they are.
    seams = seam_ratio(tiled, tile) / seam_ratio(whole, tile)
    print(f"\ntiles against the whole: {similarity:.1f} dB, seams {seams:.3f}")
    assert similarity >= 30 and seams < 1.25

    # Local attention goes in one piece of its own accord; asked for or not makes no difference.
    near, details = changes["looks-near", "auto"]
    assert details["mode"] == "single_pass", details
    assert np.array_equal(near, changes["looks-near", "single_pass"][0])
    assert not np.array_equal(near, whole), "640 pixels are more than a window of 384"


def test_local_attention_can_be_the_rule(make, models, picture, tmp_path):
    make_networks.write_safetensors(models / "small-restormer.safetensors", make_networks.restormer())
    daemon = make(attention="local").start()
    assert restore(daemon, picture, tmp_path / "a.png", "small-restormer")[1]["mode"] == "single_pass"


# --- weights that change while the daemon runs ---


def test_new_weights_are_taken_over_without_losing_a_job(make, models, tmp_path):
    mine = make_networks.student_variant(models / "mine.safetensors", strength=1)
    large = tmp_path / "large.png"
    large.write_bytes(pictures.encoded(pictures.with_noise(pictures.scene(2400, 1600, seed=51), 25, seed=52), ".png"))
    small = tmp_path / "small.png"
    small.write_bytes(pictures.encoded(pictures.with_noise(pictures.scene(320, 200, seed=53), 25, seed=54), ".png"))
    daemon = make(network="mine", tile={"size": 128}, preview={"enabled": False}).start()
    client, events = daemon.client(), daemon.events()
    before = listed(daemon)["mine"]
    assert before["state"] == "valid" and before["default"] is True
    expected, _ = restore(daemon, large, tmp_path / "expected.png")
    old_small, _ = restore(daemon, small, tmp_path / "old-small.png")

    under_way = client.submit(large, output=tmp_path / "under-way.png")
    events.wait(lambda e: e["job"] == under_way and e["kind"] == "progress", what="the first tiles")
    make_networks.student_variant(models / "new.safetensors", strength=0.5).rename(mine)
    reload(daemon)
    after = listed(daemon)["mine"]
    assert after["sha256"] != before["sha256"] and after["state"] == "not_loaded", after
    assert client.job(under_way)["state"] == "running", "or the rest of this test says nothing"
    fresh = [client.submit(small, output=tmp_path / f"new-{n}.png") for n in range(3)]
    for job in [under_way, *fresh]:
        assert events.wait_for_end(job, 300)["kind"] == "done", events.of(job)
    assert np.array_equal(pictures.decoded(tmp_path / "under-way.png"), expected), "it ends with what it began with"
    results = [pictures.decoded(tmp_path / f"new-{n}.png") for n in range(3)]
    assert all(np.array_equal(result, results[0]) for result in results)
    noisy = pictures.decoded(small).astype(np.int64)
    ratio = np.abs(results[0] - noisy).mean() / np.abs(old_small.astype(np.int64) - noisy).mean()
    assert 0.4 < ratio < 0.6, f"the new weights change half as much as the old ones, not {ratio:.2f}"
    assert listed(daemon)["mine"]["state"] == "valid"

    # Weights that are no network stay out, and the configuration with them: what works goes on working.
    mine.write_bytes(b"nonsense")
    reload(daemon)
    assert "the configuration stays as it was" in daemon.log()
    assert listed(daemon)["mine"]["state"] == "refused"
    make_networks.student_variant(mine, strength=1)
    reload(daemon)
    assert listed(daemon)["mine"]["sha256"] == before["sha256"]
    again, _ = restore(daemon, small, tmp_path / "again.png")
    assert np.array_equal(again, old_small)
    assert daemon.stop() == 0


def test_a_hostile_weight_file_hides_no_other(make, models, picture, tmp_path):
    hostile = {
        "huge-header.safetensors": (2 ** 63).to_bytes(8, "little") + b"{",
        "wrong-offsets.safetensors": b"",
        "bomb.pth": b"\x80\x02cos\nsystem\nq\x00X\x04\x00\x00\x00trueq\x01\x85R.",
        "empty.pt": b"",
        "no-manifest.pt2": b"PK\x05\x06" + bytes(18),
    }
    text = json.dumps({"a": {"dtype": "F32", "shape": [1 << 40, 1 << 40], "data_offsets": [0, 4]}}).encode()
    hostile["wrong-offsets.safetensors"] = len(text).to_bytes(8, "little") + text + bytes(4)
    for name, content in hostile.items():
        (models / name).write_bytes(content)
    (models / "a-folder.safetensors").mkdir()
    (models / "dangling.safetensors").symlink_to(models / "nowhere")
    make_networks.write_safetensors(models / "small-restormer.safetensors", make_networks.restormer())
    broken = make_networks.restormer()
    del broken["latent.0.ffn.dwconv.weight"]
    make_networks.write_safetensors(models / "lacks-one.safetensors", broken)
    daemon = make().start()
    known = listed(daemon)
    assert known["student-tiny"]["state"] == "valid" and known["small-restormer"]["state"] == "not_loaded"
    for name in hostile:
        entry = known[name.rsplit(".", 1)[0]]
        assert entry["state"] == "refused" and name in entry["reason"], entry
    answer = daemon.retouch("submit", "--wait", picture, "--network", "lacks-one", "-o", tmp_path / "a.png")
    assert answer.returncode == 5 and "latent.0.ffn.dwconv.weight" in answer.stderr, answer.stderr
    text = daemon.retouch("models", check=0).stdout
    assert "huge-header" in text and "small-restormer" in text
    restore(daemon, picture, tmp_path / "b.png", "small-restormer")
    assert daemon.stop() == 0


# --- tools ---


def test_validate_compares_with_the_plain_path_and_with_golden_tensors(make, models, tmp_path):
    daemon = make()
    golden = make_networks.MODELS / "student-tiny.golden.safetensors"
    report = json.loads(daemon.retouch("validate", "--json", "--golden", golden, check=0).stdout)
    assert report["passed"] is True and report["precision"] == "fp32", report
    assert {check["against"] for check in report["checks"]} == {"golden", "plain fp32"}
    assert all(check["max_difference"] < 1e-5 for check in report["checks"])
    assert "passed" in daemon.retouch("validate", check=0).stdout

    # Another precision: computed where the CPU is good at it, else said so; valid in any case.
    report = json.loads(daemon.retouch("validate", "--json", "--precision", "bf16", check=0).stdout)
    assert report["precision"] == "bf16" or "bf16 was asked for" in report["warning"], report

    tensors, metadata = make_networks.read_safetensors(golden)
    off = make_networks.write_safetensors(tmp_path / "off.safetensors", tensors | {"output": tensors["output"] + np.float32(0.01)},
                                          metadata)
    failed = daemon.retouch("validate", "--json", "--golden", off, check=1)
    assert json.loads(failed.stdout)["passed"] is False
    assert "FAILED" in daemon.retouch("validate", "--golden", off, check=1).stdout
    gray = make_networks.write_safetensors(tmp_path / "gray.safetensors",
                                           {name: np.ascontiguousarray(tensor[:, :1]) for name, tensor in tensors.items()})
    assert "channels" in daemon.retouch("validate", "--golden", gray, check=5).stderr

    # The published computation of a Restormer with random weights: made outside, not by us.
    tensors, metadata = make_networks.read_safetensors(make_networks.GOLDEN / "restormer-with-bias.safetensors")
    weights = {name: tensor for name, tensor in tensors.items() if not name.startswith("golden.")}
    make_networks.write_safetensors(models / "published.safetensors", weights, metadata)
    example = make_networks.write_safetensors(
        tmp_path / "example.safetensors",
        {name[len("golden."):]: tensor.astype(np.float32) for name, tensor in tensors.items() if name.startswith("golden.")})
    for which in (("--network", "published"), ("--weights", models / "published.safetensors")):
        daemon.retouch("validate", *which, "--golden", example, "--precision", "fp32", check=0)


def test_plan_says_what_would_be_done_and_why(make, models, picture, tmp_path):
    make_networks.write_safetensors(models / "small-restormer.safetensors", make_networks.restormer())
    daemon = make()

    def plan(*arguments):
        return json.loads(daemon.retouch("plan", "--json", *arguments, check=0).stdout)

    unmeasured = plan("3296x2192", "--network", "small-restormer", "--mode", "single_pass", "--memory", "128GiB")
    assert unmeasured["mode"]["value"] == "tiled" and unmeasured["memory"]["bytes"] is None, "not a guess"
    daemon.start()
    restore(daemon, picture, tmp_path / "a.png", "small-restormer")
    assert daemon.stop() == 0

    built_in = plan("3296x2192")
    assert built_in["picture"]["megapixels"] == pytest.approx(7.22, abs=0.01)
    assert built_in["mode"]["value"] == "tiled" and built_in["tile"]["overlap"] >= 80
    assert 1 < built_in["work_ratio"]["value"] < 2.5, "tiles of 256 with 40 pixels of context"
    assert built_in["memory"]["bytes"] > 0 and built_in["time"]["seconds"] > 0
    assert all(built_in[key]["reason"] for key in ("route", "precision", "mode", "tile", "batch", "memory", "time"))
    assert plan(picture)["picture"]["width"] == 640

    wanted = ("3296x2192", "--network", "small-restormer", "--mode", "single_pass")
    roomy, narrow = plan(*wanted, "--memory", "128GiB"), plan(*wanted, "--memory", "2GiB")
    assert roomy["mode"]["value"] == "single_pass" and roomy["tile"]["count"] == 1
    assert narrow["mode"]["value"] == "tiled" and "a single pass takes" in narrow["mode"]["reason"], narrow["mode"]
    assert narrow["memory"]["bytes"] < roomy["memory"]["bytes"] < 128 << 30
    text = daemon.retouch("plan", "3296x2192", "--memory", "128GiB", check=0).stdout
    assert "7.2 MP" in text and "overlap" in text
    assert daemon.retouch("plan", tmp_path / "nothing.jpg").returncode == 3
    assert daemon.retouch("plan", "3296x2192", "--network", "nobody").returncode == 5


def test_converted_weights_restore_as_the_checkpoint_does(make, models, picture, tmp_path):
    checkpoint = make_networks.write_pth(models / "as-pth.pth", make_networks.restormer())
    daemon = make()
    converted = models / "converted.safetensors"
    daemon.retouch("convert", checkpoint, converted, "--task", "denoise", "--license", "CC0", check=0)
    daemon.start()
    one, _ = restore(daemon, picture, tmp_path / "one.png", "as-pth")
    other, _ = restore(daemon, picture, tmp_path / "other.png", "converted")
    assert np.array_equal(one, other)
    known = listed(daemon)
    assert known["converted"]["task"] == "denoise" and known["converted"]["license"] == "CC0"
    assert known["as-pth"]["parameters"] == known["converted"]["parameters"]
    assert daemon.stop() == 0


# --- how numbers are computed ---


def test_a_precision_that_the_device_lacks_is_replaced_with_one_warning(make, picture, tmp_path):
    daemon = make(precision="fp16").start()
    for n in range(2):
        restore(daemon, picture, tmp_path / f"{n}.png")
    warnings = [line for line in daemon.log().splitlines() if "fp16 was asked for" in line]
    assert len(warnings) == 1, warnings
    assert "instead" in warnings[0]
    assert listed(daemon)["student-tiny"]["precision"] != "fp16"
    assert daemon.stop() == 0


def test_the_plain_path_gives_nearly_the_same_picture(make, models, tmp_path):
    picture = tmp_path / "picture.png"
    picture.write_bytes(pictures.encoded(pictures.with_noise(pictures.scene(200, 160, seed=61), 10, seed=62), ".png"))
    make_networks.write_safetensors(models / "small-restormer.safetensors", make_networks.restormer())
    results = []
    for optimize in (True, False):
        daemon = make(optimize=optimize, precision="fp32", tile={"size": 128}).start()
        results.append([restore(daemon, picture, tmp_path / f"{network}-{optimize}.png", network)[0]
                        for network in ("student-tiny", "small-restormer")])
        assert "fp32" in daemon.log()
        assert daemon.stop() == 0
    for optimized, plain in zip(*results):
        assert largest_difference(optimized, plain) <= 1
