"""Every format through the real program with the network that changes nothing: what comes back is what docs/formats.md says.

The tables between the marks in docs/formats.md are made of these measurements. `RETOUCHD_WRITE_DOCS=1 pytest test_formats.py` writes
them anew."""

import os

import numpy as np
import pytest

import formats_files as files
import formats_metadata as metadata
import pictures
from daemon_process import SOURCE

PAGE = SOURCE / "docs/formats.md"
# output.format, and which originals it is asked for.
CONVERSIONS = {"png": ["jpg", "tif"], "tiff": ["jpg", "png"], "webp": ["jpg"], "avif": ["jpg"], "jxl": ["jpg"],
               "jpeg": ["png", "tif", "webp"]}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("formats")


@pytest.fixture(scope="module")
def donor(folder):
    files.make_donor(folder / "donor.jpg")
    return folder / "donor.jpg"


def run(daemon, sources, output):
    daemon.retouch("run", "--network", "identity", *sources, "-o", output, check=0)


def result_of(source, output):
    found = [path for path in output.iterdir() if path.stem == source.stem]
    assert len(found) == 1, f"{source.name}: {found}"
    return found[0]


def table(name, header, rows):
    """Compares with the page, or writes into it."""
    lines = ["| " + " | ".join(header) + " |", "|" + "---|" * len(header)]
    lines += ["| " + " | ".join(row) + " |" for row in rows]
    begin, end = f"<!-- measured: {name} -->\n", "<!-- end -->"
    page = PAGE.read_text()
    start = page.index(begin) + len(begin)
    stop = page.index(end, start)
    measured = "\n".join(lines) + "\n"
    if os.environ.get("RETOUCHD_WRITE_DOCS"):
        PAGE.write_text(page[:start] + measured + page[stop:])
    else:
        assert page[start:stop].splitlines() == measured.splitlines(), "docs/formats.md says something else: RETOUCHD_WRITE_DOCS=1"


def likeness(before, after):
    """A cell: how near the samples of the result are to those of the source."""
    if before.shape != after.shape and after.ndim == 3 and before.ndim == 2:
        after = after[..., 0]
    assert before.shape == after.shape
    if before.dtype != after.dtype:
        return f"{after.dtype} samples"
    difference = np.abs(before.astype(np.float64) - after.astype(np.float64)).max()
    if difference == 0:
        return "equal"
    if before.dtype == np.float32 and difference <= 1e-6:
        return "equal to 1e-6"
    top = 1 if before.dtype == np.float32 else np.iinfo(before.dtype).max
    psnr = 10 * np.log10(top**2 / np.mean(np.square(before.astype(np.float64) - after)))
    return f"lossy, over {int(psnr // 10 * 10)} dB"


def test_pixels_of_every_kind_come_back(folder, make_daemon):
    daemon, output = make_daemon(), folder / "kinds"
    output.mkdir()
    sources = []
    for _, suffix, depth, channels in files.KINDS:
        sources.append(folder / f"kind-{suffix[1:]}-{depth}-{channels}{suffix}")
        files.write(sources[-1], files.samples(depth, channels))
    run(daemon, sources, output)
    rows = []
    for (name, suffix, depth, channels), source in zip(files.KINDS, sources):
        result = result_of(source, output)
        rows.append([name, {"uint8": "8", "uint16": "12" if suffix == ".avif" else "16", "float32": "float"}[depth],
                     channels.replace("+", " with "), files.FORMATS[result.suffix],
                     likeness(files.read(source), files.read(result))])
        if result.suffix in (".png", ".tif", ".ppm", ".pgm"):
            assert rows[-1][4].startswith("equal"), rows[-1]
    table("pixels", ["format", "bits", "channels", "result", "its samples"], rows)


def test_metadata_come_back(folder, donor, make_daemon):
    daemon, output = make_daemon(), folder / "same"
    output.mkdir()
    sources = {}
    for suffix in ("jpg", "png", "tif", "webp", "avif", "jxl"):
        sources[suffix] = folder / f"metadata-{suffix}.{suffix}"
        if suffix == "jpg":
            sources[suffix].write_bytes(donor.read_bytes())
            continue
        # ExifTool can write no profiles into these two.
        options = {"icc_profile": pictures.profile()} if suffix in ("avif", "jxl") else {}
        files.write(sources[suffix], files.samples("uint8", "colour"), **options)
        files.give_metadata(sources[suffix], donor)
    sources["dng"] = folder / "metadata-dng.dng"
    files.write_dng(sources["dng"])
    files.give_metadata(sources["dng"], donor)
    rows = []

    def measure(suffix, result, only=None):
        words = metadata.cells(sources[suffix], result, only)
        rows.append([f"{files.FORMATS['.' + suffix]} to {files.FORMATS[result.suffix]}"] + [words[c] for c in metadata.COLUMNS])
        if result.suffix != ".ppm":
            said = metadata.provenance(result)
            assert said.get("Network") == "identity" and set(said) <= metadata.PROVENANCE, said
        orientation = [v for (_, place, name), v in metadata.tags_of(result).items() if name == "Orientation" and place != "IFD1"]
        assert set(orientation) <= {"Horizontal (normal)"}, orientation

    run(daemon, sources.values(), output)
    for suffix in sources:
        measure(suffix, result_of(sources[suffix], output), only=donor if suffix == "dng" else None)
    developed = files.read(result_of(sources["dng"], output))
    assert developed.dtype == np.uint16 and developed.shape == (files.HEIGHT, files.WIDTH, 3), "16 bits, and upright"

    for wanted, originals in CONVERSIONS.items():
        output = folder / f"to-{wanted}"
        output.mkdir()
        run(make_daemon(output={"format": wanted}), [sources[suffix] for suffix in originals], output)
        for suffix in originals:
            measure(suffix, result_of(sources[suffix], output))
    run(daemon, [sources["jpg"]], folder / "metadata.ppm")
    measure("jpg", folder / "metadata.ppm")
    table("metadata", ["from and to"] + metadata.COLUMNS, rows)


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".tif", ".webp", ".avif"])
def test_all_eight_orientations_come_out_upright(folder, suffix, make_daemon):
    daemon, output = make_daemon(), folder / f"upright{suffix}"
    output.mkdir()
    upright = files.samples("uint8", "colour")
    sources = []
    for orientation in range(1, 9):
        sources.append(folder / f"turned-{orientation}{suffix}")
        files.write_turned(sources[-1], upright, orientation)
    run(daemon, sources, output)
    for orientation, source in enumerate(sources, 1):
        result = output / source.name
        pixels = files.read(result)
        assert pixels.shape == upright.shape, orientation
        is_lossless = suffix in (".png", ".tif")
        assert np.array_equal(pixels, upright) if is_lossless else pictures.psnr(pixels, upright) > 30, orientation
        tags = metadata.tags_of(result)
        assert {value for (_, _, name), value in tags.items() if name == "Orientation"} <= {"Horizontal (normal)"}
        if suffix != ".avif":
            assert tags["EXIF", "IFD0", "XResolution"] == (150 if orientation >= 5 else 300)


def test_xmp_beyond_a_segment_of_jpeg_comes_back(folder, donor, make_daemon):
    source, result = folder / "long.jpg", folder / "long-restored.jpg"
    source.write_bytes(donor.read_bytes())
    text = folder / "long.txt"
    text.write_text("".join(f"sentence {i}. " for i in range(12_000)))
    files.exiftool(f"-XMP-dc:Description<={text}", source)
    assert b"http://ns.adobe.com/xmp/extension/" in source.read_bytes()
    run(make_daemon(), [source], result)
    assert metadata.cells(source, result)["XMP"] == "kept"
    assert b"http://ns.adobe.com/xmp/extension/" in result.read_bytes()


def test_metadata_can_be_left_out(folder, donor, make_daemon):
    result = folder / "stripped.jpg"
    run(make_daemon(output={"metadata": "strip", "provenance": False}), [donor], result)
    words = metadata.cells(donor, result)
    kept = {column for column, word in words.items() if word not in ("", "no")}
    assert kept == {"ICC", "resolution"}
