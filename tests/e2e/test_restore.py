"""A noisy photograph of 7 megapixels by every way in: better by 12 dB, whole, its metadata kept, the same bytes each time."""

import io
import json

import pytest
from PIL import Image

import pictures
from daemon_process import SOURCE, leftovers

WIDTH, HEIGHT = 3296, 2192


@pytest.fixture(scope="module")
def photograph(tmp_path_factory):
    """(clean pixels, file): stored turned, with EXIF, ICC and XMP."""
    clean = pictures.scene(WIDTH, HEIGHT, seed=11)
    stored = pictures.stored_for(pictures.with_noise(clean, sigma=25, seed=12), orientation=6)
    file = tmp_path_factory.mktemp("photograph") / "evening at the lake.jpg"
    file.write_bytes(pictures.encoded(stored, ".jpg", quality=95, subsampling=0, exif=pictures.exif(orientation=6),
                                      icc_profile=pictures.profile(), xmp=pictures.XMP))
    return clean, file


def check_metadata(before, after):
    with Image.open(io.BytesIO(before)) as old, Image.open(io.BytesIO(after)) as new:
        assert new.format == old.format
        assert new.info.get("icc_profile") == old.info["icc_profile"]
        assert b'Rating="4"' in new.info.get("xmp", b"")
        was, now = old.getexif(), new.getexif()
        assert now[0x0112] == 1, "the pixels are upright now, so the orientation must say so"
        for tag in set(was) - {0x0112, 0x8769, 0x8825}:
            assert now.get(tag) == was[tag], f"EXIF tag {tag:#x}"
        for block in (0x8769, 0x8825):
            for tag, value in was.get_ifd(block).items():
                assert now.get_ifd(block).get(tag) == value, f"EXIF tag {tag:#x} of block {block:#x}"


def test_every_way_in_restores_the_same_picture(photograph, make_daemon, tmp_path):
    clean, file = photograph
    source = file.read_bytes()
    daemon = make_daemon()
    folder, restored = daemon.watch()
    daemon.start()
    client, events = daemon.client(), daemon.events()

    # ZeroMQ, by path.
    by_path = tmp_path / "by-path.jpg"
    job = client.submit(file, output=by_path)
    done = events.wait_for_end(job, 300)
    assert done["kind"] == "done", done
    kinds = [event["kind"] for event in events.of(job)]
    assert kinds.index("preview") < kinds.index("done"), kinds
    assert [event["seq"] for event in client.events_of(job)] == list(range(1, len(client.events_of(job)) + 1))
    result = by_path.read_bytes()

    before = pictures.psnr(pictures.decoded(source), clean)
    after = pictures.psnr(pictures.decoded(result), clean)
    print(f"\nPSNR {before:.2f} -> {after:.2f} dB, gain {after - before:.2f} dB; {json.dumps(client.job(job)['details'])}")
    assert pictures.decoded(result).shape == clean.shape
    assert after >= before + 12
    check_metadata(source, result)
    assert file.read_bytes() == source, "originals are never changed"

    # The preview: the whole picture, small, upright.
    with Image.open(client.job(job)["preview"]) as preview:
        assert preview.width * preview.height <= 1.1e6
        assert abs(preview.width / preview.height - WIDTH / HEIGHT) < 0.01

    # ZeroMQ, as bytes; the result comes back in chunks.
    job = client.submit(content=source, name=file.name)
    assert events.wait_for_end(job, 300)["kind"] == "done"
    assert client.fetch(job) == result

    # The watched folder.
    (folder / "2026").mkdir()
    (folder / "2026" / file.name).write_bytes(source)
    mirrored = events.wait(lambda e: e["kind"] == "done" and e["output"].startswith(str(restored)), 300)
    assert mirrored["output"] == str(restored / "2026" / file.name)
    assert (restored / "2026" / file.name).read_bytes() == result

    # The command line.
    submitted = tmp_path / "submitted.jpg"
    answer = daemon.retouch("submit", "--wait", file, "-o", submitted, "--json", check=0)
    assert str(submitted) in answer.stdout
    for line in answer.stdout.splitlines():
        json.loads(line)
    assert submitted.read_bytes() == result
    assert not leftovers(tmp_path) and not leftovers(restored)

    assert daemon.stop() == 0
    assert not leftovers(tmp_path) and not leftovers(restored)

    # Without the daemon, by the same pipeline.
    alone = tmp_path / "alone.jpg"
    daemon.retouch("run", file, "-o", alone, check=0)
    assert alone.read_bytes() == result


def test_the_samples_lose_their_noise(make_daemon, tmp_path):
    """No clean originals here, so: the same size, and flat parts get smoother."""
    samples = sorted((SOURCE / "samples").glob("*.[jp][pn]g"))
    assert samples
    make_daemon().start().retouch("submit", "--wait", *samples, "-o", f"{tmp_path}/", check=0)
    for sample in samples:
        before, after = pictures.decoded(sample), pictures.decoded(tmp_path / sample.name)
        assert after.shape == before.shape, sample
        assert pictures.roughness(after) < 0.6 * pictures.roughness(before), sample
