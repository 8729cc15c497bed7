"""Test pictures, drawn from a seed: nothing is fetched, and a failing picture can be made again."""

import io
import struct
import zlib

import cv2
import numpy as np
from PIL import Image, ImageCms, ImageOps


def scene(width, height, seed):
    """A clean picture as uint8 RGB: soft light, shapes with edges, fine structure, lettering."""
    random = np.random.default_rng(seed)
    muted = lambda *shape: random.uniform(40, 215, (*shape, 1)) + random.uniform(-35, 35, (*shape, 3))
    light = muted(7, 9).astype(np.float32)
    picture = cv2.resize(light, (width, height), interpolation=cv2.INTER_CUBIC)

    short = min(width, height)
    for _ in range(60):
        centre = (int(random.uniform(0, width)), int(random.uniform(0, height)))
        colour = [float(c) for c in muted()]
        size = max(2, int(short * random.uniform(0.02, 0.18)))
        if random.uniform() < 0.5:
            cv2.circle(picture, centre, size, colour, -1, cv2.LINE_AA)
        else:
            corners = (np.array(centre) + random.uniform(-size, size, (4, 2))).astype(np.int32)
            cv2.fillPoly(picture, [corners], colour, cv2.LINE_AA)

    x = np.linspace(0, 1, width, dtype=np.float32)[None, :, None]
    y = np.linspace(0, 1, height, dtype=np.float32)[:, None, None]
    picture += 4 * np.sin(x * short / 9) * np.sin(y * short / 11)
    picture = np.clip(np.round(picture), 0, 255).astype(np.uint8)
    for line in range(3):
        cv2.putText(picture, "retouchd 0123456789", (short // 12, int(height * (0.3 + 0.2 * line))), cv2.FONT_HERSHEY_SIMPLEX,
                    short / 500, (20, 20, 25), max(1, short // 250), cv2.LINE_AA)
    # A lens and a sensor leave no edge sharper than this.
    return cv2.GaussianBlur(picture, (0, 0), 1.0)


def with_noise(picture, sigma, seed):
    """The same picture with Gaussian noise; `sigma` is in steps of 8 bits, whatever the picture's depth."""
    random = np.random.default_rng(seed)
    top = np.iinfo(picture.dtype).max
    noise = random.standard_normal(picture.shape, np.float32) * np.float32(sigma * top / 255)
    return np.clip(np.round(picture + noise), 0, top).astype(picture.dtype)


def psnr(picture, reference):
    top = float(np.iinfo(reference.dtype).max)
    difference = picture.astype(np.float32) - reference.astype(np.float32)
    return 10 * np.log10(top * top / float(np.mean(np.square(difference), dtype=np.float64)))


def profile(name="sRGB"):
    return ImageCms.ImageCmsProfile(ImageCms.createProfile(name)).tobytes()


def exif(orientation=1, artist="Ansel Example"):
    tags = Image.Exif()
    tags[0x010F] = "Example Cameras"  # Make
    tags[0x0110] = "Model 7"
    tags[0x0112] = orientation
    tags[0x013B] = artist
    tags[0x8298] = "CC0"  # Copyright
    tags.get_ifd(0x8769)[0x9003] = "2026:11:21 07:40:34"  # DateTimeOriginal
    tags.get_ifd(0x8769)[0x829A] = 0.004  # ExposureTime
    tags.get_ifd(0x8825)[0x0001] = "N"
    tags.get_ifd(0x8825)[0x0002] = (48.0, 8.0, 14.0)
    return tags


XMP = (b'<?xpacket begin="\xef\xbb\xbf" id="W5M0MpCehiHzreSzNTczkc9d"?><x:xmpmeta xmlns:x="adobe:ns:meta/">'
       b'<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description rdf:about="" '
       b'xmlns:xmp="http://ns.adobe.com/xap/1.0/" xmp:Rating="4"/></rdf:RDF></x:xmpmeta><?xpacket end="w"?>')


def stored_for(picture, orientation):
    """The pixels a camera stores so that a viewer that obeys `orientation` shows `picture`."""
    turn = {1: lambda p: p, 2: np.fliplr, 3: lambda p: np.rot90(p, 2), 4: np.flipud, 5: lambda p: np.transpose(p, (1, 0, 2)),
            6: lambda p: np.rot90(p, 1), 7: lambda p: np.rot90(np.transpose(p, (1, 0, 2)), 2), 8: lambda p: np.rot90(p, 3)}
    return np.ascontiguousarray(turn[orientation](picture))


def encoded(picture, suffix, **options):
    """The bytes of a file. 16-bit and alpha are kept where the format can hold them."""
    if picture.dtype == np.uint16:
        order = {2: None, 3: cv2.COLOR_RGB2BGR, 4: cv2.COLOR_RGBA2BGRA}[picture.shape[2] if picture.ndim == 3 else 2]
        stored = picture if order is None else cv2.cvtColor(picture, order)
        done, data = cv2.imencode(suffix, stored)
        assert done
        return data.tobytes()
    buffer = io.BytesIO()
    name = {".jpg": "JPEG", ".jpeg": "JPEG", ".png": "PNG", ".tif": "TIFF", ".webp": "WEBP"}[suffix]
    Image.fromarray(picture).save(buffer, name, **options)
    return buffer.getvalue()


def decoded(data):
    """Upright pixels of a file's bytes or path: H x W or H x W x C, 8 or 16 bits, R G B (A)."""
    if not isinstance(data, bytes):
        data = data.read_bytes()
    pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)  # Pillow has no 16-bit colour
    if pixels is not None and pixels.dtype == np.uint16:
        order = {2: None, 3: cv2.COLOR_BGR2RGB, 4: cv2.COLOR_BGRA2RGBA}[pixels.shape[2] if pixels.ndim == 3 else 2]
        return pixels if order is None else cv2.cvtColor(pixels, order)
    with Image.open(io.BytesIO(data)) as picture:
        return np.asarray(ImageOps.exif_transpose(picture))


def kind_of(pixels):
    """("gray"|"gray+alpha"|"colour"|"colour+alpha", bits)"""
    channels = pixels.shape[2] if pixels.ndim == 3 else 1
    return {1: "gray", 2: "gray+alpha", 3: "colour", 4: "colour+alpha"}[channels], pixels.dtype.itemsize * 8


def tiny_png(value=128):
    """A picture of 16 x 16 pixels in about 80 bytes."""
    return encoded(np.full((16, 16), value, np.uint8), ".png")


def png_header(width, height):
    """A PNG that claims to be very large and holds next to nothing."""
    def chunk(kind, body):
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)) +
            chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b""))


PDF = b"%PDF-1.7\n1 0 obj\n<< /Type /Catalog >>\nendobj\n%%EOF\n"


def roughness(picture):
    """How noisy the smoothest parts are: the 20th percentile of the deviation within blocks of 8 x 8 pixels."""
    gray = picture if picture.ndim == 2 else picture[..., 1]
    height, width = (side // 8 * 8 for side in gray.shape)
    blocks = gray[:height, :width].astype(np.float32).reshape(height // 8, 8, width // 8, 8)
    return float(np.percentile(blocks.std(axis=(1, 3)), 20))
