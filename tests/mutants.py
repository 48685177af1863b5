"""Damaged image files without end: seeded mutations of small files of every format."""

import io
from collections.abc import Iterator

import numpy as np
from PIL import Image

_NUMBERS = (0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFF)


def whole_files(seed: int = 1) -> list[bytes]:
    """Return intact files of all formats and many modes, 24 x 20 pixels."""
    rng = np.random.default_rng(seed)
    rows, columns = np.indices((20, 24))
    smooth = np.stack([rows * 10, columns * 10, rows * columns // 2], axis=2)
    rgb = Image.fromarray((smooth + rng.integers(0, 9, smooth.shape)).astype(np.uint8))
    alpha = rgb.convert("RGBA")
    grey, deep = rgb.convert("L"), Image.fromarray(rows.astype(np.uint16) * 3000)
    exif = Image.Exif()
    exif[0x0112], exif[0x010F], exif[0x011A] = 6, "a camera", 72.5
    kinds = [
        *((image, "PNG", {}) for image in (rgb, alpha, grey, deep, rgb.quantize(8))),
        (rgb, "PNG", {"exif": exif}),
        (rgb, "JPEG", {"exif": exif}),
        (rgb, "JPEG", {"progressive": True, "subsampling": 0}),
        (rgb.convert("CMYK"), "JPEG", {}),
        (rgb, "WEBP", {"lossless": True}),
        (alpha, "WEBP", {"exif": exif}),
        (rgb, "TIFF", {"exif": exif}),
        (rgb, "TIFF", {"compression": "tiff_lzw"}),
        (grey, "TIFF", {"compression": "tiff_deflate"}),
        (Image.fromarray(rows.astype(np.float32) / 20), "TIFF", {}),
        (rgb.convert("CMYK"), "TIFF", {}),
        (rgb, "BMP", {}),
        (rgb.quantize(8), "GIF", {}),
        (rgb, "PPM", {}),
        (alpha, "TGA", {}),
        (rgb, "JPEG2000", {}),
        (rgb, "AVIF", {"speed": 10}),
    ]
    files = []
    for image, kind, options in kinds:
        stream = io.BytesIO()
        try:
            image.save(stream, format=kind, **options)
        except (KeyError, OSError):
            continue  # this build of Pillow does not write the format
        files.append(stream.getvalue())
    return files


def mutants(seed: int) -> Iterator[bytes]:
    """Yield damaged files without end, the same for the same seed."""
    rng = np.random.default_rng(seed)
    files = whole_files()
    while True:
        data = bytearray(files[rng.integers(len(files))])
        for _ in range(rng.integers(1, 5)):
            _mutate(data, files, rng)
        yield bytes(data)


def _mutate(data: bytearray, files: list[bytes], rng: np.random.Generator) -> None:
    if not data:
        return
    # headers are short and matter most
    top = len(data) if rng.random() < 0.5 else min(len(data), 120)
    at = int(rng.integers(top))
    run = int(rng.integers(1, 40))
    kind = rng.integers(7)
    if kind == 0:
        data[at] ^= 1 << int(rng.integers(8))
    elif kind == 1:
        data[at] = int(rng.integers(256))
    elif kind == 2:
        number = int(rng.choice(_NUMBERS))
        width = 2 if number <= 0xFFFF and rng.random() < 0.5 else 4
        order = "big" if rng.random() < 0.5 else "little"
        data[at : at + width] = number.to_bytes(width, order)
    elif kind == 3:
        del data[int(rng.integers(len(data))) :]
    elif kind == 4:
        del data[at : at + run]
    elif kind == 5:
        data[at:at] = data[at : at + run] * int(rng.integers(1, 4))
    else:
        other = files[rng.integers(len(files))]
        start = int(rng.integers(len(other)))
        data[at : at + run] = other[start : start + run]
