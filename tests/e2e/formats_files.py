"""Pictures in every format that can be written here, with metadata of every kind, put there by Pillow, tifffile, imagecodecs and
ExifTool: by nobody who is being tested."""

import io
import struct
import subprocess

import cv2
import imagecodecs
import numpy as np
import pillow_jxl  # noqa: F401: Pillow writes JPEG XL by it
import tifffile
from PIL import Image

import pictures

WIDTH, HEIGHT = 328, 216  # the thumbnail is smaller

# (row of the table, suffix, depth, channels)
KINDS = [
    ("JPEG", ".jpg", "uint8", "gray"), ("JPEG", ".jpg", "uint8", "colour"),
    ("PNG", ".png", "uint8", "gray"), ("PNG", ".png", "uint8", "colour"), ("PNG", ".png", "uint8", "gray+alpha"),
    ("PNG", ".png", "uint8", "colour+alpha"), ("PNG", ".png", "uint16", "gray"), ("PNG", ".png", "uint16", "colour"),
    ("PNG", ".png", "uint16", "colour+alpha"),
    ("TIFF", ".tif", "uint8", "gray"), ("TIFF", ".tif", "uint8", "colour"), ("TIFF", ".tif", "uint8", "colour+alpha"),
    ("TIFF", ".tif", "uint16", "gray"), ("TIFF", ".tif", "uint16", "colour"), ("TIFF", ".tif", "uint16", "colour+alpha"),
    ("TIFF", ".tif", "float32", "gray"), ("TIFF", ".tif", "float32", "colour"),
    ("WebP", ".webp", "uint8", "colour"), ("WebP", ".webp", "uint8", "colour+alpha"),
    ("AVIF", ".avif", "uint8", "colour"), ("AVIF", ".avif", "uint8", "colour+alpha"), ("AVIF", ".avif", "uint16", "colour"),
    ("JPEG XL", ".jxl", "uint8", "gray"), ("JPEG XL", ".jxl", "uint8", "colour"), ("JPEG XL", ".jxl", "uint8", "colour+alpha"),
    ("JPEG XL", ".jxl", "uint16", "colour"), ("JPEG XL", ".jxl", "float32", "colour"),
    ("PNM", ".pgm", "uint8", "gray"), ("PNM", ".ppm", "uint8", "colour"), ("PNM", ".ppm", "uint16", "colour"),
]
RAW = ("camera raw (DNG)", ".dng")
FORMATS = {RAW[1]: RAW[0], ".jpg": "JPEG", ".png": "PNG", ".tif": "TIFF", ".webp": "WebP", ".avif": "AVIF", ".jxl": "JPEG XL", ".ppm": "PNM", ".pgm": "PNM"}


def samples(depth, channels, seed=5):
    """The scene in this depth; 16 bits and floats use all of their range."""
    colour = pictures.scene(WIDTH, HEIGHT, seed).astype(np.float64) / 255
    if depth != "uint8":
        colour = np.clip(colour + np.random.default_rng(seed).uniform(-1, 1, colour.shape) / 4096, 0, 1)
    ramp = np.linspace(0, 1, WIDTH)[None, :, None].repeat(HEIGHT, 0)
    parts = [colour[..., 1:2] if channels.startswith("gray") else colour] + ([ramp] if channels.endswith("alpha") else [])
    picture = np.concatenate(parts, axis=2)
    if depth == "float32":
        return np.squeeze(picture.astype(np.float32))
    return np.squeeze(np.round(picture * np.iinfo(depth).max).astype(depth))


def write(path, pixels, **options):
    """Lossless where the format can be. `options`: those of Pillow, which is used then."""
    suffix = path.suffix
    if suffix == ".tif":
        alpha = pixels.ndim == 3 and pixels.shape[2] == 4
        tifffile.imwrite(path, pixels, photometric="minisblack" if pixels.ndim == 2 else "rgb", compression="zlib", metadata=None,
                         extrasamples=["unassalpha"] if alpha else None)
    elif options:
        Image.fromarray(pixels).save(path, **options)
    elif suffix == ".avif":
        bits = 8 if pixels.dtype == np.uint8 else 12
        path.write_bytes(imagecodecs.avif_encode(pixels >> (0 if bits == 8 else 4), level=100, bitspersample=bits, speed=8,
                                                 pixelformat="444"))
    elif suffix == ".jxl":
        path.write_bytes(imagecodecs.jpegxl_encode(pixels, lossless=True, usecontainer=True))
    elif suffix == ".jpg":
        Image.fromarray(pixels).save(path, quality=98, subsampling=0)
    elif suffix == ".webp":
        Image.fromarray(pixels).save(path, lossless=True, exact=True)
    else:
        order = {2: None, 3: {2: None, 3: cv2.COLOR_RGB2BGR, 4: cv2.COLOR_RGBA2BGRA}.get(pixels.shape[-1])}[pixels.ndim]
        if suffix == ".png" and (pixels.dtype == np.uint8 or pixels.ndim == 2):
            Image.fromarray(pixels).save(path)
        else:
            done, data = cv2.imencode(suffix, pixels if order is None else cv2.cvtColor(pixels, order))
            assert done
            path.write_bytes(data.tobytes())


def write_dng(path):
    """What a sensor with red, green, green, blue before its pixels would see of the scene, held upright by turning the camera."""
    light = np.square(pictures.stored_for(samples("uint8", "colour"), 6).astype(np.float64) / 255)
    rows, columns = np.indices(light.shape[:2])
    mosaic = np.take_along_axis(light, (rows % 2 + columns % 2)[..., None], axis=2)[..., 0]
    rational = lambda values: tuple(part for value in values for part in (round(value * 10_000), 10_000))
    matrix = (3.2405, -1.5371, -0.4985, -0.9693, 1.8760, 0.0416, 0.0556, -0.2040, 1.0572)  # its colours are those of sRGB
    tifffile.imwrite(path, np.round(mosaic * 16_383).astype(np.uint16), photometric="CFA", metadata=None, software=False, extratags=[
        (271, "s", 0, "Canon", True), (272, "s", 0, "Canon EOS 5D Mark IV", True), (274, "H", 1, 6, True),
        (33421, "H", 2, (2, 2), True), (33422, "B", 4, (0, 1, 1, 2), True), (50706, "B", 4, (1, 4, 0, 0), True),
        (50708, "s", 0, "Example One", True), (50714, "H", 1, 0, True), (50717, "I", 1, 16_383, True),
        (50721, "2i", 9, rational(matrix), True), (50728, "2I", 3, rational((1, 1, 1)), True), (50778, "H", 1, 21, True)])


def write_turned(path, pixels, orientation):
    """`pixels` as a camera stores them whose file says how it was held."""
    stored = pictures.stored_for(pixels, orientation)
    if path.suffix == ".avif":  # it turns by properties of its own, which Pillow makes of this tag
        tags = Image.Exif()
        tags[0x0112] = orientation
        Image.fromarray(stored).save(path, quality=95, subsampling="4:4:4", exif=tags)
        exiftool("-IFD0:XResolution=300", "-IFD0:YResolution=150", "-IFD0:ResolutionUnit=inches", path)
        return
    write(path, stored)
    exiftool("-n", f"-IFD0:Orientation={orientation}", f"-XMP-tiff:Orientation={orientation}", "-IFD0:XResolution=300",
             "-IFD0:YResolution=150", "-IFD0:ResolutionUnit=2", path)


def read(path):
    """The samples, by a reader that keeps depth and channels as they are."""
    data, suffix = path.read_bytes(), path.suffix
    if suffix == ".tif":
        return np.squeeze(tifffile.imread(path))
    if suffix == ".avif":
        pixels = np.squeeze(imagecodecs.avif_decode(data))
        if pixels.dtype == np.uint16:  # of 12 bits, to all of 16
            pixels = np.round(pixels * (65535 / 4095)).astype(np.uint16)
        return pixels
    if suffix == ".jxl":
        return np.squeeze(imagecodecs.jpegxl_decode(data))
    if suffix in (".jpg", ".webp"):
        with Image.open(io.BytesIO(data)) as picture:
            return np.asarray(picture)
    pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    if pixels.ndim == 2 or pixels.shape[2] == 1:
        return np.squeeze(pixels)
    if suffix == ".png" and pixels.dtype == np.uint8:  # OpenCV makes colour of gray with alpha
        with Image.open(io.BytesIO(data)) as picture:
            return np.asarray(picture)
    return cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB if pixels.shape[2] == 3 else cv2.COLOR_BGRA2RGBA)


def exiftool(*arguments):
    done = subprocess.run(["exiftool", "-q", "-q", "-m", "-overwrite_original", *map(str, arguments)], capture_output=True)
    assert done.returncode == 0, f"exiftool {arguments}: {done.stderr.decode()}"
    return done.stdout


def canon_exif():
    """An EXIF block with what ExifTool cannot make from nothing: a maker note (a few tags of Canon's) and a thumbnail."""
    def ifd(start, entries):
        """`entries`: (tag, type, count, bytes); what is longer than four bytes follows the directory."""
        head, more, at = struct.pack("<H", len(entries)), b"", start + 2 + 12 * len(entries) + 4
        for tag, kind, count, value in entries:
            if len(value) > 4:
                head += struct.pack("<HHII", tag, kind, count, at + len(more))
                more += value + b"\0" * (len(value) % 2)
            else:
                head += struct.pack("<HHI", tag, kind, count) + value.ljust(4, b"\0")
        return head, more

    def text(tag, value):
        return tag, 2, len(value) + 1, value.encode() + b"\0"

    def long(tag, value):
        return tag, 4, 1, struct.pack("<I", value)

    def block(start, entries, following=0):
        head, more = ifd(start, entries)
        return head + struct.pack("<I", following) + more

    buffer = io.BytesIO()
    Image.fromarray(np.full((120, 160, 3), 17, np.uint8)).save(buffer, "JPEG")
    thumbnail = buffer.getvalue()

    zeroth = lambda exif: [text(0x010F, "Canon"), text(0x0110, "Canon EOS 5D Mark IV"), long(0x8769, exif)]
    exif_at = 8 + len(block(8, zeroth(0)))
    maker_entries = [text(0x0006, "Canon EOS 5D Mark IV"), text(0x0007, "Firmware Version 1.1.2"),
                     text(0x0009, "Ansel Example"), long(0x000C, 4711), text(0x0095, "EF35mm f/1.4L II USM")]
    photo = lambda maker: [(0x9000, 7, 4, b"0230"), (0x927C, 7, len(maker), maker), (0xA001, 3, 1, struct.pack("<H", 1)),
                           long(0xA002, WIDTH), long(0xA003, HEIGHT)]
    maker_at = exif_at + 2 + 12 * 5 + 4
    maker = block(maker_at, maker_entries)
    first_at = exif_at + len(block(exif_at, photo(maker)))
    first = lambda at: [(0x0103, 3, 1, struct.pack("<H", 6)), long(0x0201, at), long(0x0202, len(thumbnail))]
    thumbnail_at = first_at + len(block(first_at, first(0)))
    return (b"II*\0" + struct.pack("<I", 8) + block(8, zeroth(exif_at), first_at) + block(exif_at, photo(maker)) +
            block(first_at, first(thumbnail_at)) + thumbnail)


def make_donor(path):
    """A JPEG that has everything."""
    profile = path.with_suffix(".icc")
    profile.write_bytes(pictures.profile())
    buffer = io.BytesIO()
    Image.fromarray(samples("uint8", "colour")).save(buffer, "JPEG", exif=b"Exif\0\0" + canon_exif())
    path.write_bytes(buffer.getvalue())
    exiftool("-ExifIFD:ExposureTime=1/250", "-ExifIFD:FNumber=5.6", "-ExifIFD:ISO=400", "-ExifIFD:LensModel=EF35mm f/1.4L II USM",
             "-ExifIFD:DateTimeOriginal=2026:11:21 07:40:34", "-ExifIFD:OffsetTimeOriginal=+01:00", "-ExifIFD:FocalLength=35",
             "-ExifIFD:UserComment=Grüße vom See", "-IFD0:Artist=Ansel Example", "-IFD0:Copyright=CC0",
             "-IFD0:ModifyDate=2026:11:21 08:00:00", "-IFD0:XResolution=300", "-IFD0:YResolution=300",
             "-IFD0:ResolutionUnit=inches", "-GPS:GPSLatitude=48.1372", "-GPS:GPSLatitudeRef=N", "-GPS:GPSLongitude=11.5755",
             "-GPS:GPSLongitudeRef=E", "-GPS:GPSAltitude=519", "-GPS:GPSAltitudeRef=0", "-GPS:GPSDateStamp=2026:11:21",
             "-JFIF:XResolution=300", "-JFIF:YResolution=300", "-JFIF:ResolutionUnit=inches",
             "-XMP-dc:Title=Lake", "-XMP-dc:Title-de=See", "-XMP-dc:Subject=lake", "-XMP-dc:Subject=evening", "-XMP-xmp:Rating=4",
             "-XMP-lr:HierarchicalSubject=places|lake", "-XMP-mwg-rs:RegionInfo={RegionList=[{Name=Ada,Area={X=0.5,Y=0.25}}]}",
             "-IPTC:Caption-Abstract=Boats at dawn", "-IPTC:Keywords=boats", "-IPTC:Keywords=dawn", "-IPTC:City=Murnau",
             "-IPTC:By-line=Ansel Example", "-Comment=Seen from the pier", f"-icc_profile<={profile}", path)


def give_metadata(path, donor):
    """As much of the donor's metadata as ExifTool can write into the file's format."""
    arguments = ["-tagsfromfile", donor, "-all:all", "-unsafe", "-Comment", "--JFIF:all", "--File:all"]
    arguments.append("--icc_profile" if path.suffix == RAW[1] else "-icc_profile")
    if path.suffix == RAW[1]:
        arguments += ["--IFD0:Orientation", "--ThumbnailImage"]
    if path.suffix == ".png":
        arguments += ["-PNG-pHYs:PixelsPerUnitX=11811", "-PNG-pHYs:PixelsPerUnitY=11811", "-PNG-pHYs:PixelUnits=meters",
                      "-PNG:Title=Lake", "-PNG:Author=Ansel Example", "-PNG:Comment=Seen from the pier"]
    exiftool(*arguments, path)
