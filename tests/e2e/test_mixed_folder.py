"""Sixty pictures of every kind land in a watched folder at once; three of them are broken."""

import re

import numpy as np

import pictures

MEMORY = 1536 << 20


def varied(index, pixels):
    """A clean picture and the bytes of its noisy file: (suffix, clean as it shall come back, bytes)."""
    width = max(120, int((pixels * 1.5) ** 0.5) + index % 7)
    height = max(96, int(pixels / width))
    clean = pictures.scene(width, height, seed=100 + index)
    noisy = pictures.with_noise(clean, 20, seed=200 + index)
    gray = lambda p: np.ascontiguousarray(p[..., 1])
    wide = lambda p: p.astype(np.uint16) * 257
    alpha = np.full((height, width), 255, np.uint8)
    alpha[: height // 3] = 90
    kinds = [
        lambda: (".jpg", clean, pictures.encoded(noisy, ".jpg", quality=92)),
        lambda: (".jpg", gray(clean), pictures.encoded(gray(noisy), ".jpg", quality=92)),
        lambda: (".jpg", clean, pictures.encoded(pictures.stored_for(noisy, 2 + index % 7), ".jpg", quality=92,
                                                 exif=pictures.exif(2 + index % 7))),
        lambda: (".jpg", clean, pictures.encoded(noisy, ".jpg", quality=85, progressive=True)),
        lambda: (".png", clean, pictures.encoded(noisy, ".png")),
        lambda: (".png", gray(clean), pictures.encoded(gray(noisy), ".png")),
        lambda: (".png", np.dstack([clean, alpha]), pictures.encoded(np.dstack([noisy, alpha]), ".png")),
        lambda: (".png", np.dstack([gray(clean), alpha]), pictures.encoded(np.dstack([gray(noisy), alpha]), ".png")),
        lambda: (".png", wide(clean), pictures.encoded(pictures.with_noise(wide(clean), 20, index), ".png")),
        lambda: (".png", gray(wide(clean)), pictures.encoded(gray(pictures.with_noise(wide(clean), 20, index)), ".png")),
        lambda: (".tif", wide(clean), pictures.encoded(pictures.with_noise(wide(clean), 20, index), ".tif")),
        lambda: (".tif", clean, pictures.encoded(noisy, ".tif", compression="tiff_lzw")),
        lambda: (".webp", clean, pictures.encoded(noisy, ".webp", quality=92)),
        lambda: (".webp", np.dstack([clean, alpha]), pictures.encoded(np.dstack([noisy, alpha]), ".webp", quality=92)),
    ]
    return kinds[index % len(kinds)]()


def sizes():
    """Fifty-seven: most small, so that several share a batch; one of 24 megapixels, as cameras make them."""
    random = np.random.default_rng(7)
    return [24_000_000, *(int(s) for s in np.exp(random.uniform(np.log(50_000), np.log(600_000), 56)))]


def broken():
    whole = pictures.encoded(pictures.scene(640, 480, seed=1), ".jpg", quality=90)
    return {"cut off.jpg": (whole[: len(whole) // 2], "truncated_picture"),
            "invoice.jpg": (pictures.PDF, "unsupported_format"),
            "nothing.png": (b"", "input_empty")}


def test_sixty_pictures_at_once(make_daemon, tmp_path):
    expected = {}
    for index, pixels in enumerate(sizes()):
        suffix, clean, data = varied(index, pixels)
        name = f"{index:02d}{suffix}"
        (tmp_path / name).write_bytes(data)
        expected[name] = clean
    for name, (data, _) in broken().items():
        (tmp_path / name).write_bytes(data)

    daemon = make_daemon(memory=str(MEMORY), tile={"batch": 4})
    folder, restored = daemon.watch()
    daemon.start()
    events = daemon.events()
    for file in tmp_path.iterdir():
        file.rename(folder / file.name)
    events.wait_for_count({"done", "failed", "cancelled"}, 60, timeout=500)

    peak = daemon.memory("VmHWM")
    batches, pictures_in_batches = (daemon.metric(f"retouchd_batch_pictures_{part}") for part in ("count", "sum"))
    alone = daemon.metric("retouchd_batch_pictures_bucket", le="1")
    print(f"\npeak memory {peak >> 20} MiB of {MEMORY >> 20} MiB; {batches:.0f} batches, {batches - alone:.0f} of them with "
          f"tiles of several pictures, mean {pictures_in_batches / batches:.2f}")
    outcomes = {}
    for event in events.seen:
        if event["kind"] in ("done", "failed", "cancelled"):
            outcomes.setdefault(event["job"], []).append(event["kind"])
    assert sorted(kinds[0] for kinds in outcomes.values()) == ["done"] * 57 + ["failed"] * 3
    assert all(len(kinds) == 1 for kinds in outcomes.values())

    gains = []
    for name, clean in expected.items():
        noisy, result = pictures.decoded(folder / name), pictures.decoded(restored / name)
        assert result.shape == clean.shape, name
        assert pictures.kind_of(result) == pictures.kind_of(clean), name
        gains.append(pictures.psnr(result, clean) - pictures.psnr(noisy, clean))
        assert gains[-1] > 2, f"{name}: {gains[-1]:.2f} dB"
        if pictures.kind_of(clean)[0].endswith("alpha") and not name.endswith(".webp"):
            assert np.array_equal(result[..., -1], clean[..., -1]), f"{name}: alpha changed"
    print(f"gain {min(gains):.2f} to {max(gains):.2f} dB, mean {np.mean(gains):.2f} dB")

    reports = {path.name: path.read_text() for path in restored.rglob("*.error.txt")}
    assert len(reports) == 3, sorted(reports)
    for name, (_, code) in broken().items():
        report = next(text for title, text in reports.items() if title.startswith(name.rpartition(".")[0]))
        assert str(folder / name) in report
        assert re.search(rf"^Reason: .*\({code}\)$", report, re.M), report
        assert re.search(r"^What to do:  \S.*\.$", report, re.M), report
        assert (folder / name).exists()
    assert sorted(path.name for path in restored.iterdir()) == sorted([*expected, *reports])
    assert batches > alone, "no batch carried tiles of several pictures"
    assert peak < MEMORY
    assert daemon.stop() == 0
