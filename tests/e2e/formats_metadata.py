"""What ExifTool finds in a file, and what became of it in another one."""

import functools
import io
import json
import subprocess

import numpy as np
import pillow_jxl  # noqa: F401: Pillow reads JPEG XL by it, ExifTool no profiles of it
from PIL import Image, ImageCms

COLUMNS = ["EXIF", "GPS", "maker note", "thumbnail", "XMP", "IPTC", "ICC", "resolution", "comment", "PNG texts"]

# They describe the file, not the picture.
STRUCTURAL = {"ImageWidth", "ImageHeight", "BitsPerSample", "Compression", "PhotometricInterpretation", "StripOffsets",
              "SamplesPerPixel", "RowsPerStrip", "StripByteCounts", "PlanarConfiguration", "Predictor", "ExtraSamples",
              "SampleFormat", "ExifByteOrder", "SubfileType", "PageNumber", "YCbCrPositioning", "ThumbnailOffset",
              "ThumbnailLength", "ThumbnailImage", "HasExtendedXMP",
              "ApplicationRecordVersion", "CodedCharacterSet", "EnvelopeRecordVersion", "XMPToolkit", "Orientation",
              "XResolution", "YResolution", "ResolutionUnit", "ExifImageWidth", "ExifImageHeight"}
PROVENANCE = {"Software", "Network", "NetworkSHA256", "Precision", "Plan", "Score", "Route", "LevelMegapixels"}


@functools.lru_cache(maxsize=None)
def tags_of(path):
    """{(family 0, family 1, name): value} of a file that does not change any more."""
    done = subprocess.run(["exiftool", "-json", "-G0:1", "-a", "-struct", str(path)], capture_output=True, text=True)
    tags = {}
    for name, value in json.loads(done.stdout)[0].items():
        groups, _, tag = name.rpartition(":")
        family, _, place = groups.partition(":")
        tags[family, place or family, tag] = value
    return tags


def group(tags, families=(), places=()):
    return {(place if family == "XMP" else family, name): value for (family, place, name), value in tags.items()
            if (family in families or place in places) and name not in STRUCTURAL and place not in ("XMP-retouchd", "IFD1")}


def thumbnail(path):
    if all(name != "ThumbnailImage" for _, _, name in tags_of(path)):
        return b""
    return subprocess.run(["exiftool", "-b", "-ThumbnailImage", str(path)], capture_output=True).stdout


def profile(path):
    if path.suffix == ".jxl":
        with Image.open(path) as picture:
            return picture.info.get("icc_profile", b"")
    if all(family != "ICC_Profile" for family, _, _ in tags_of(path)):
        return b""
    return subprocess.run(["exiftool", "-b", "-icc_profile", str(path)], capture_output=True).stdout


def profile_verdict(old, new):
    if not old:
        return ""
    if not new:
        return "no"
    if old == new:
        return "kept"
    colours = Image.fromarray(np.random.default_rng(1).integers(0, 256, (64, 64, 3), np.uint8))
    lab = ImageCms.createProfile("LAB")
    one, other = (np.asarray(ImageCms.profileToProfile(colours, io.BytesIO(p), lab, outputMode="LAB")).astype(int) for p in (old, new))
    return "equivalent" if np.abs((one - other + 128) % 256 - 128).max() <= 1 else "another"


def provenance(path):
    return {name: value for (_, place, name), value in tags_of(path).items() if place == "XMP-retouchd"}


def resolution(path):
    """Dots per inch, by whatever the file says first."""
    tags = tags_of(path)
    if ("PNG", "PNG-pHYs", "PixelsPerUnitX") in tags:
        return tuple(round(tags["PNG", "PNG-pHYs", f"PixelsPerUnit{side}"] * 0.0254) for side in "XY")
    for family, place in (("JFIF", "JFIF"), ("EXIF", "IFD0")):
        if (family, place, "XResolution") in tags:
            return tuple(round(tags[family, place, f"{side}Resolution"]) for side in "XY")
    return None


def comments(tags):
    return [value for (family, _, name), value in tags.items() if name == "Comment" and family in ("File", "PNG")]


def differences(before, after):
    return sorted(name for (place, name), value in before.items() if after.get((place, name)) != value)


def verdict(before, after):
    """A cell: kept, what is lost, or nothing where there was nothing."""
    if not before:
        return ""
    lost = differences(before, after)
    if not lost:
        return "kept"
    return "no" if len(lost) == len(before) else "all but " + ", ".join(lost)


def cells(source, result, only=None):
    """{column: word} for the metadata of `result`, made from `source`; of its EXIF, if given, only tags that `only` has, too."""
    before, after = tags_of(source), tags_of(result)
    if only is not None:
        tags = tags_of(only)
        before = {key: value for key, value in before.items() if key[0] != "EXIF" or key in tags}
    exif = lambda tags: group(tags, places=("IFD0", "ExifIFD", "InteropIFD"))
    row = {
        "EXIF": verdict(exif(before), exif(after)),
        "GPS": verdict(group(before, places=("GPS",)), group(after, places=("GPS",))),
        "maker note": verdict(group(before, families=("MakerNotes",)), group(after, families=("MakerNotes",))),
        "XMP": verdict(group(before, families=("XMP",)), group(after, families=("XMP",))),
        "IPTC": verdict(group(before, families=("IPTC",)), group(after, families=("IPTC",))),
        "comment": verdict({("", "Comment"): comments(before)} if comments(before) else {},
                           {("", "Comment"): comments(after)}),
        "PNG texts": verdict({("", name): before.get(("PNG", "PNG", name)) for name in ("Title", "Author")
                              if ("PNG", "PNG", name) in before},
                             {("", name): after.get(("PNG", "PNG", name)) for name in ("Title", "Author")}),
    }
    row["ICC"] = profile_verdict(profile(source), profile(result))
    row["resolution"] = "" if resolution(source) is None else "kept" if resolution(result) == resolution(source) else "no"
    if row["IPTC"] == "no" and after.get(("XMP", "XMP-dc", "Description")) == before.get(("IPTC", "IPTC", "Caption-Abstract")):
        row["IPTC"] = "as XMP"
    old, new = thumbnail(source), thumbnail(result)
    row["thumbnail"] = "" if not old else "new" if is_new_thumbnail(old, new, result) else "no"
    return row


def is_new_thumbnail(old, new, result):
    """Whether it shows the result: the old ones are of one dark gray."""
    if not new:
        return False
    with Image.open(io.BytesIO(new)) as small:
        assert max(small.size) <= 160, small.size
        low, high = small.convert("L").getextrema()
    assert new != old and high - low > 50, f"{result}: the thumbnail shows something else"
    return True
