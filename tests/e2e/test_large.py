"""Large pictures in little memory: 300 megapixels of TIFF and 100 of JPEG through a daemon that may hold 3 GiB.

The network "identity" changes nothing, so that the TIFF must come back as it was and the time goes into reading and writing.
"""

import struct
import threading
import time
from pathlib import Path

import cv2
import numpy as np

GIB = 1 << 30
BUDGET = 3 * GIB
TIFF_WIDTH, TIFF_HEIGHT, STRIP_ROWS = 20_000, 15_000, 100
JPEG_SIDE = 10_000


def make_band():
    y = np.arange(STRIP_ROWS, dtype=np.uint32)[:, None]
    x = np.arange(TIFF_WIDTH, dtype=np.uint32)[None, :]
    return np.stack([(x // 80 + y // 6) % 256, (x // 17 ^ y // 3) % 256, (x + 3 * y) // 64 % 256], axis=2).astype(np.uint8)


BAND = make_band()


def rows_of(first, count):
    """Rows of the TIFF's picture: each band is a little brighter than the one above."""
    y = np.arange(first, first + count)
    return BAND[y % STRIP_ROWS] + (y // STRIP_ROWS).astype(np.uint8)[:, None, None]


def write_tiff(path):
    """An uncompressed TIFF in strips, never whole in memory."""
    strips = TIFF_HEIGHT // STRIP_ROWS
    strip_bytes = TIFF_WIDTH * STRIP_ROWS * 3
    after_ifd = 8 + 2 + 10 * 12 + 4
    bits_at, offsets_at = after_ifd, after_ifd + 6
    counts_at = offsets_at + 4 * strips
    pixels_at = counts_at + 4 * strips
    short, long = 3, 4
    entries = [(256, long, 1, TIFF_WIDTH), (257, long, 1, TIFF_HEIGHT), (258, short, 3, bits_at), (259, short, 1, 1),
               (262, short, 1, 2), (273, long, strips, offsets_at), (277, short, 1, 3), (278, long, 1, STRIP_ROWS),
               (279, long, strips, counts_at), (284, short, 1, 1)]
    with path.open("wb") as file:
        file.write(struct.pack("<2sHI", b"II", 42, 8) + struct.pack("<H", len(entries)))
        for entry in entries:
            file.write(struct.pack("<HHII", *entry))
        file.write(struct.pack("<I", 0) + struct.pack("<3H", 8, 8, 8))
        file.write(struct.pack(f"<{strips}I", *(pixels_at + i * strip_bytes for i in range(strips))))
        file.write(struct.pack(f"<{strips}I", *([strip_bytes] * strips)))
        for top in range(0, TIFF_HEIGHT, STRIP_ROWS):
            file.write(rows_of(top, STRIP_ROWS).tobytes())


def tags_of(content):
    """The numbers of the first directory of a little-endian TIFF, by tag."""
    sizes = {1: "B", 3: "H", 4: "I"}
    (start,) = struct.unpack_from("<I", content, 4)
    (count,) = struct.unpack_from("<H", content, start)
    tags = {}
    for i in range(count):
        at = start + 2 + 12 * i
        tag, kind, values = struct.unpack_from("<HHI", content, at)
        if kind not in sizes:
            continue
        form = f"<{values}{sizes[kind]}"
        place = at + 8 if struct.calcsize(form) <= 4 else struct.unpack_from("<I", content, at + 8)[0]
        tags[tag] = struct.unpack_from(form, content, place)
    return tags


def check_tiff(path):
    content = np.memmap(path, dtype=np.uint8, mode="r")
    tags = tags_of(content)
    assert tags[256] == (TIFF_WIDTH,) and tags[257] == (TIFF_HEIGHT,) and tags[259] == (1,), tags
    rows_per_strip = tags[278][0]
    top = 0
    for offset, length in zip(tags[273], tags[279]):
        rows = min(rows_per_strip, TIFF_HEIGHT - top)
        assert length == rows * TIFF_WIDTH * 3
        if top % (rows_per_strip * 20) == 0 or top + rows == TIFF_HEIGHT:  # each twentieth
            assert np.array_equal(content[offset:offset + length], rows_of(top, rows).ravel()), f"rows from {top} on"
        top += rows
    assert top == TIFF_HEIGHT


class MemoryWatch(threading.Thread):
    """The peak of what the daemon and its workers hold: shared memory once, mapped files not at all, since they can be dropped."""

    def __init__(self, pid):
        super().__init__(daemon=True)
        self.pid, self.peak, self.is_over = pid, 0, threading.Event()

    def run(self):
        while not self.is_over.wait(0.05):
            self.peak = max(self.peak, sum(map(self.held, [self.pid, *self.children()])))

    def children(self):
        found = []
        for task in Path(f"/proc/{self.pid}/task").glob("*/children"):
            try:
                found += map(int, task.read_text().split())
            except OSError:
                pass  # the thread has ended
        return found

    @staticmethod
    def held(pid):
        try:
            lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
        except OSError:
            return 0  # the process has ended
        return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith(("Pss_Anon:", "Pss_Shmem:")))


def test_large_pictures_stay_within_the_budget(make_daemon, tmp_path):
    tiff, jpeg = tmp_path / "large.tif", tmp_path / "large.jpg"
    began = time.monotonic()
    write_tiff(tiff)
    square = np.tile(rows_of(0, JPEG_SIDE // 4)[:, :JPEG_SIDE], (4, 1, 1))
    cv2.imwrite(str(jpeg), square, [cv2.IMWRITE_JPEG_QUALITY, 85])
    del square
    made = time.monotonic()

    daemon = make_daemon(memory="3GiB", output={"tiff_compression": "none"}, limits={"file_size": "2GiB"})
    daemon.start()
    watch = MemoryWatch(daemon.process.pid)
    watch.start()
    client, events = daemon.client(), daemon.events()
    results = {}
    for source in (tiff, jpeg):
        result = tmp_path / f"restored{source.suffix}"
        results[client.submit(source, output=result, network="identity")] = result
    for job in results:
        done = events.wait_for_end(job, 400)
        assert done["kind"] == "done", done
    restored = time.monotonic()
    watch.is_over.set()
    watch.join()
    print(f"\nmade in {made - began:.0f} s, restored in {restored - made:.0f} s, "
          f"peak {watch.peak / GIB:.2f} GiB of a budget of {BUDGET / GIB:.0f}")
    assert 0 < watch.peak < BUDGET * 1.15

    check_tiff(tmp_path / "restored.tif")
    answer = cv2.imread(str(tmp_path / "restored.jpg"), cv2.IMREAD_REDUCED_GRAYSCALE_8)
    assert answer.shape == (JPEG_SIDE // 8, JPEG_SIDE // 8)
