"""Decoding of every kind of image file, crop and resize."""

import contextlib
import io
import os
import shlex
import struct
import subprocess
import sys
import threading
import time
import zlib
from concurrent.futures import ThreadPoolExecutor
from itertools import islice

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image, ImageCms

from crosskrylov.datasets import pixels
from crosskrylov.datasets.pixels import (
    DecodingMemory,
    centre_crop,
    decode_image,
    decoding_within,
    fit,
    read_square,
    resize,
    to_channels,
)
from crosskrylov.errors import ConfigError, DataError
from tests.conftest import PROJECT
from tests.mutants import mutants, whole_files

RNG = np.random.default_rng(20250)
RGB = RNG.integers(0, 256, (5, 7, 3), dtype=np.uint8)
GREY = RNG.integers(0, 256, (5, 7), dtype=np.uint8)

quick = settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
bytes_rgb = hnp.arrays(np.uint8, st.tuples(st.integers(1, 9), st.integers(1, 9), st.just(3)))
unit_squares = st.integers(2, 24).flatmap(
    lambda side: hnp.arrays(
        np.float32, (side, side, 1), elements=st.floats(0, 1, width=32, allow_subnormal=False)
    )
)


def save(path, array_or_image, **options):
    image = array_or_image
    if isinstance(image, np.ndarray):
        image = Image.fromarray(image)
    image.save(path, **options)
    return path


def png16(path, values):
    """Write uint16 [H, W] or [H, W, 3] as PNG: Pillow cannot write deep colour."""
    height, width = values.shape[:2]
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)

    def chunk(kind, data):
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    header = struct.pack(">IIBBBBB", width, height, 16, 2 if values.ndim == 3 else 0, 0, 0, 0)
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(rows))
        + chunk(b"IEND", b"")
    )
    return path


# --- colour modes --------------------------------------------------------------------------------


@quick
@given(array=bytes_rgb)
def test_eight_bit_rgb_is_divided_by_255_exactly(tmp_path, array):
    decoded = decode_image(save(tmp_path / "image.png", array))
    assert decoded.dtype == np.float32
    np.testing.assert_array_equal(decoded, array.astype(np.float32) / np.float32(255))


@pytest.mark.parametrize("suffix", ["png", "bmp", "tiff", "ppm", "webp"])
def test_lossless_formats_give_the_same_pixels(tmp_path, suffix):
    options = {"lossless": True} if suffix == "webp" else {}
    decoded = decode_image(save(tmp_path / f"image.{suffix}", RGB, **options))
    np.testing.assert_array_equal(decoded, RGB.astype(np.float32) / np.float32(255))


def test_jpeg_is_near_its_source(tmp_path):
    smooth = np.linspace(0, 255, 64 * 64).reshape(64, 64).astype(np.uint8)
    array = np.stack([smooth, smooth.T, 255 - smooth], axis=2)
    decoded = decode_image(save(tmp_path / "image.jpg", array, quality=95, subsampling=0))
    np.testing.assert_allclose(decoded, array / 255, atol=0.03)


def test_grey_has_one_channel(tmp_path):
    decoded = decode_image(save(tmp_path / "image.png", GREY))
    np.testing.assert_array_equal(decoded[:, :, 0], GREY.astype(np.float32) / np.float32(255))
    assert decoded.shape == (5, 7, 1)


def test_one_bit_is_black_and_white(tmp_path):
    bits = GREY > 127
    decoded = decode_image(save(tmp_path / "image.png", Image.fromarray(bits)))
    np.testing.assert_array_equal(decoded[:, :, 0], bits)


@pytest.mark.parametrize("suffix", ["png", "gif"])
def test_palette_is_looked_up(tmp_path, suffix):
    indices = (GREY % 3).astype(np.uint8)
    colours = np.array([[255, 0, 0], [0, 10, 200], [7, 8, 9]], dtype=np.uint8)
    image = Image.frombytes("P", (7, 5), indices.tobytes())
    image.putpalette(colours.tobytes())
    decoded = decode_image(save(tmp_path / f"image.{suffix}", image))
    np.testing.assert_allclose(decoded, colours[indices] / 255, atol=1e-7)


def test_alpha_is_composited_on_white(tmp_path):
    rgba = np.zeros((1, 3, 4), dtype=np.uint8)
    rgba[0, :, 0] = 255  # red: opaque, half, invisible
    rgba[0, :, 3] = [255, 51, 0]
    decoded = decode_image(save(tmp_path / "image.png", rgba))
    np.testing.assert_allclose(decoded[0], [[1, 0, 0], [1, 0.8, 0.8], [1, 1, 1]], atol=1e-6)


def test_grey_with_alpha_stays_grey(tmp_path):
    la = np.array([[[0, 255], [0, 51], [100, 0]]], dtype=np.uint8)
    decoded = decode_image(save(tmp_path / "image.png", la))
    np.testing.assert_allclose(decoded[0], [[0], [0.8], [1]], atol=1e-6)


def test_transparent_palette_entry_is_white(tmp_path):
    image = Image.frombytes("P", (2, 1), bytes([0, 1]))
    image.putpalette([255, 0, 0, 0, 0, 255])
    decoded = decode_image(save(tmp_path / "image.png", image, transparency=0))
    np.testing.assert_allclose(decoded[0], [[1, 1, 1], [0, 0, 1]])


def test_transparent_colour_of_rgb_is_white(tmp_path):
    array = np.array([[[10, 20, 30], [1, 2, 3]]], dtype=np.uint8)
    decoded = decode_image(save(tmp_path / "image.png", array, transparency=(10, 20, 30)))
    np.testing.assert_allclose(decoded[0], [[1, 1, 1], [1 / 255, 2 / 255, 3 / 255]], atol=1e-7)


@quick
@given(array=bytes_rgb)
def test_cmyk_tiff_gives_the_pixels_of_its_rgb_twin(tmp_path, array):
    cmyk = Image.fromarray(array).convert("CMYK")
    decoded = decode_image(save(tmp_path / "image.tiff", cmyk))
    np.testing.assert_allclose(decoded, array / 255, atol=1e-6)


def test_cmyk_jpeg_is_not_inverted(tmp_path):
    array = np.full((16, 16, 3), (230, 40, 90), dtype=np.uint8)
    cmyk = Image.fromarray(array).convert("CMYK")
    decoded = decode_image(save(tmp_path / "image.jpg", cmyk, quality=95))
    np.testing.assert_allclose(decoded, array / 255, atol=0.03)


def test_damaged_cmyk_profile_falls_back(tmp_path):
    cmyk = Image.new("CMYK", (3, 3), (0, 255, 255, 0))
    path = save(tmp_path / "image.tiff", cmyk, icc_profile=b"not a profile")
    np.testing.assert_allclose(decode_image(path)[0, 0], [1, 0, 0], atol=1e-6)


def test_cmyk_uses_an_embedded_profile(tmp_path, monkeypatch):
    # No CMYK profile can be made with Pillow, so only the call is checked.
    used = []

    def convert(image, source, target, outputMode):  # noqa: N803
        used.append(source)
        return Image.new(outputMode, image.size, (1, 2, 3))

    monkeypatch.setattr(pixels.ImageCms, "ImageCmsProfile", lambda stream: stream.read())
    monkeypatch.setattr(pixels.ImageCms, "profileToProfile", convert)
    cmyk = Image.new("CMYK", (3, 3))
    decoded = decode_image(save(tmp_path / "image.tiff", cmyk, icc_profile=b"profile"))
    assert used == [b"profile"]
    np.testing.assert_allclose(decoded[0, 0] * 255, [1, 2, 3], atol=1e-5)


def test_lab_becomes_srgb(tmp_path):
    srgb, lab = ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB")
    colour = (200, 120, 60)
    image = Image.new("RGB", (4, 4), colour)
    image = ImageCms.profileToProfile(image, srgb, lab, outputMode="LAB")
    decoded = decode_image(save(tmp_path / "image.tiff", image))
    np.testing.assert_allclose(decoded[0, 0] * 255, colour, atol=4)


@quick
@given(
    values=hnp.arrays(np.uint16, st.tuples(st.integers(1, 6), st.integers(1, 6))),
    kind=st.sampled_from(["png", "tiff", "big-endian tiff"]),
)
def test_sixteen_bit_grey_keeps_its_depth(tmp_path, values, kind):
    path = tmp_path / f"image.{kind.split()[-1]}"
    if kind == "png":
        png16(path, values)
    elif kind == "tiff":
        save(path, values)
    else:
        image = Image.frombytes("I;16B", values.shape[::-1], values.astype(">u2").tobytes())
        save(path, image)
    np.testing.assert_allclose(decode_image(path)[:, :, 0], values / 65535, atol=1e-7)


def test_sixteen_bit_colour_is_scaled_by_its_depth(tmp_path):
    values = RNG.integers(0, 65536, (5, 7, 3), dtype=np.uint16)
    decoded = decode_image(png16(tmp_path / "image.png", values))
    assert decoded.shape == (5, 7, 3)
    np.testing.assert_allclose(decoded, values / 65535, atol=1.01 / 255)


def test_floating_point_tiff_is_taken_as_it_is(tmp_path):
    values = RNG.random((4, 5), dtype=np.float32)
    np.testing.assert_array_equal(
        decode_image(save(tmp_path / "image.tiff", values))[:, :, 0], values
    )


# --- orientation ---------------------------------------------------------------------------------

UNDO = {
    1: None,
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}


@pytest.mark.parametrize("suffix", ["png", "tiff", "webp"])
@pytest.mark.parametrize("orientation", UNDO)
def test_exif_orientation_is_undone(tmp_path, orientation, suffix):
    upright = Image.fromarray(RGB)
    stored = upright if UNDO[orientation] is None else upright.transpose(UNDO[orientation])
    exif = Image.Exif()
    exif[0x0112] = orientation
    options = {"lossless": True} if suffix == "webp" else {}
    path = save(tmp_path / f"image.{suffix}", stored, exif=exif, **options)
    np.testing.assert_array_equal(decode_image(path), RGB.astype(np.float32) / np.float32(255))


# --- damaged files -------------------------------------------------------------------------------


def encoded(suffix):
    stream = io.BytesIO()
    array = RNG.integers(0, 256, (64, 64, 3), dtype=np.uint8)
    Image.fromarray(array).save(stream, format={"jpg": "JPEG", "tif": "TIFF"}.get(suffix, suffix))
    return stream.getvalue()


@pytest.mark.parametrize("suffix", ["png", "jpg", "webp", "bmp", "tif", "gif"])
@pytest.mark.parametrize("fraction", [0.0, 0.01, 0.3, 0.9])
def test_truncated_file_is_refused_by_name(tmp_path, suffix, fraction):
    content = encoded(suffix)
    path = tmp_path / f"broken.{suffix}"
    path.write_bytes(content[: int(len(content) * fraction)])
    with pytest.raises(
        DataError, match=rf"image .*broken\.{suffix} cannot be read \(.+\): replace"
    ):
        decode_image(path)


@quick
@given(position=st.integers(0, 300), garbage=st.binary(min_size=1, max_size=30))
def test_corrupted_bytes_never_escape_as_another_error(tmp_path, position, garbage):
    content = bytearray(encoded("png"))
    content[position : position + len(garbage)] = garbage
    path = tmp_path / "broken.png"
    path.write_bytes(content)
    try:
        decoded = decode_image(path)
    except DataError as error:
        assert "broken.png" in str(error)
    else:  # the damage hit nothing that counts
        assert decoded.min() >= 0 and decoded.max() <= 1


def test_text_is_not_an_image(tmp_path):
    path = tmp_path / "notes.png"
    path.write_text("not a picture")
    with pytest.raises(DataError, match=r"notes\.png cannot be read \(no known image format\)"):
        decode_image(path)


def test_missing_file_is_named(tmp_path):
    with pytest.raises(DataError, match=r"gone\.png does not exist"):
        decode_image(tmp_path / "gone.png")


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_nan_is_refused(tmp_path, bad):
    values = np.full((3, 3), 0.5, dtype=np.float32)
    values[1, 1] = bad
    with pytest.raises(DataError, match=r"image\.tiff has pixels that are NaN or infinite"):
        decode_image(save(tmp_path / "image.tiff", values))


def test_floating_point_out_of_range_gives_both_numbers(tmp_path):
    values = np.linspace(0, 255, 9, dtype=np.float32).reshape(3, 3)
    with pytest.raises(DataError, match=r"values from 0 to 255, but floating-point .* 0 to 1"):
        decode_image(save(tmp_path / "image.tiff", values))


def test_decompression_bomb_is_refused(tmp_path, monkeypatch):
    path = save(tmp_path / "large.png", np.zeros((64, 64), dtype=np.uint8))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    with pytest.raises(DataError, match=r"large\.png is too large"):
        decode_image(path)


# --- channels, crop, resize ----------------------------------------------------------------------


def test_grey_value_is_the_luma(tmp_path):
    array = np.stack([RGB[:, :, 0]] * 3, axis=2) / np.float32(255)
    np.testing.assert_allclose(to_channels(array, "grey")[:, :, 0], array[:, :, 0], atol=1e-6)
    red = np.zeros((1, 1, 3), dtype=np.float32)
    red[..., 0] = 1
    assert to_channels(red, "grey").item() == pytest.approx(0.299)


def test_grey_to_rgb_repeats_the_channel():
    grey = RNG.random((3, 4, 1), dtype=np.float32)
    rgb = to_channels(grey, "rgb")
    assert rgb.shape == (3, 4, 3)
    assert (rgb == grey).all()


def test_unknown_color_is_refused():
    with pytest.raises(ConfigError, match="color is 'cmyk'"):
        to_channels(np.zeros((2, 2, 3), dtype=np.float32), "cmyk")


@quick
@given(image=unit_squares, size=st.integers(1, 40))
def test_resize_stays_in_range(image, size):
    resized = resize(image, size)
    assert resized.shape == (size, size, 1)
    assert resized.dtype == np.float32
    assert resized.min() >= 0 and resized.max() <= 1


@quick
@given(value=st.floats(0, 1, width=32), side=st.integers(2, 40), size=st.integers(1, 40))
def test_resize_keeps_a_constant(value, side, size):
    image = np.full((side, side, 3), value, dtype=np.float32)
    np.testing.assert_allclose(resize(image, size), value, atol=1e-6)


def test_resize_to_the_same_size_changes_nothing():
    image = RNG.random((9, 9, 3), dtype=np.float32)
    np.testing.assert_array_equal(resize(image, 9), image)


def test_resize_is_antialiased():
    """One-pixel stripes become even grey; picking pixels would leave them black or white."""
    stripes = np.tile(np.arange(64) % 2, (64, 1)).astype(np.float32)[:, :, None]
    inner = resize(stripes, 16)[2:-2, 2:-2]
    np.testing.assert_allclose(inner, 0.5, atol=0.03)


def test_resize_keeps_a_ramp():
    """A linear ramp stays one (cell centres map to cell centres)."""
    side, size = 60, 15
    centres = (np.arange(side) + 0.5) / side
    image = np.tile(centres, (side, 1)).astype(np.float32)[:, :, None]
    expected = (np.arange(size) + 0.5) / size
    np.testing.assert_allclose(resize(image, size)[7, 2:-2, 0], expected[2:-2], atol=1e-3)


@pytest.mark.parametrize("shape", [(6, 10), (10, 6), (7, 10), (5, 5)])
def test_centre_crop_is_central(shape):
    rows, columns = np.indices(shape)
    image = np.stack([rows, columns], axis=2)
    side = min(shape)
    crop = centre_crop(image, side)
    assert crop.shape == (side, side, 2)
    middle = crop.reshape(-1, 2).mean(axis=0)
    np.testing.assert_allclose(middle, (np.array(shape) - 1) / 2, atol=0.5)


def test_fit_takes_the_central_square():
    image = np.zeros((8, 20, 1), dtype=np.float32)
    image[:, 6:14] = 1
    np.testing.assert_array_equal(fit(image, 8, "x"), 1)
    np.testing.assert_array_equal(fit(image, 4, "x", crop_size=4), 1)


def test_fit_refuses_what_is_too_small():
    image = np.zeros((20, 30, 1), dtype=np.float32)
    with pytest.raises(DataError, match=r"image a\.png is 30 x 20 .* image_size 32"):
        fit(image, 32, "a.png")
    with pytest.raises(DataError, match=r"30 x 20 .* smaller than crop_size 25"):
        fit(image, 16, "a.png", crop_size=25)
    with pytest.raises(DataError, match=r"cropped to crop_size 10, smaller than image_size 16"):
        fit(image, 16, "a.png", crop_size=10)
    assert fit(image, 32, "a.png", upscale=True).shape == (32, 32, 1)


# --- files that are no pictures ------------------------------------------------------------------


def test_read_square_gives_the_pixels_of_decode_and_fit(tmp_path):
    kinds = [
        (RGB, {}),
        (GREY, {}),
        (np.dstack([RGB, GREY]), {}),
        (Image.fromarray(RGB).quantize(4), {"transparency": 1}),
        (GREY.astype(np.uint16) * 257, {}),
    ]
    for number, (image, options) in enumerate(kinds):
        path = save(tmp_path / f"{number}.png", image, **options)
        for size, crop in ((5, None), (3, None), (3, 4), (9, 3)):
            expected = fit(decode_image(path), size, path, crop_size=crop, upscale=True)
            found = read_square(path, size, crop_size=crop, upscale=True)
            np.testing.assert_array_equal(found, expected)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes here")
def test_a_pipe_is_refused_instead_of_waited_for(tmp_path):
    os.mkfifo(tmp_path / "f.png")
    with pytest.raises(DataError, match=r"f\.png is no regular file"):
        decode_image(tmp_path / "f.png")
    with pytest.raises(DataError, match="is no regular file"):
        decode_image("/dev/null")
    with pytest.raises(DataError, match="is no regular file"):
        decode_image(tmp_path)


def test_links_to_nothing_and_in_circles_are_refused_by_name(tmp_path):
    (tmp_path / "lost.png").symlink_to("nowhere")
    (tmp_path / "round.png").symlink_to("round.png")
    with pytest.raises(DataError, match=r"lost\.png is a link to nothing"):
        decode_image(tmp_path / "lost.png")
    with pytest.raises(DataError, match=r"round\.png cannot be read \(.*symbolic links"):
        decode_image(tmp_path / "round.png")


def test_a_name_that_is_no_text_can_be_printed(tmp_path):
    path = os.fsencode(tmp_path) + b"/caf\xe9\n.png"
    try:
        with open(path, "wb") as stream:
            stream.write(b"no picture")
    except OSError:
        pytest.skip("this file system takes UTF-8 names only")
    with pytest.raises(DataError, match=r"caf.udce9.n\.png cannot be read") as caught:
        decode_image(os.fsdecode(path))
    str(caught.value).encode()


def test_programs_that_draw_are_not_started(tmp_path, monkeypatch):
    """An EPS file would be drawn by Ghostscript, whatever it is called."""
    started = []
    monkeypatch.setattr(subprocess, "Popen", lambda *a, **k: started.append(a))
    monkeypatch.setattr(subprocess, "check_call", lambda *a, **k: started.append(a))
    eps = "%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\n(x) print\n%%EOF\n"
    path = tmp_path / "drawing.jpg"
    path.write_text(eps)
    with Image.open(path) as image:
        assert image.format == "EPS"  # Pillow itself would have taken it
    with pytest.raises(DataError, match=r"drawing\.jpg cannot be read \(no known image format"):
        decode_image(path)
    assert started == []


def test_a_bad_exif_tag_is_this_image_s_failure(tmp_path):
    """Pillow 10 raised struct.error here, 13 ignores the tag; neither may escape."""
    exif = Image.Exif()
    exif[0x0112] = 6
    path = save(tmp_path / "image.jpg", np.zeros((8, 8, 3), dtype=np.uint8), exif=exif)
    content = bytearray(path.read_bytes())
    at = content.index(b"Exif\0\0") + 6 + 10
    content[at + 2 : at + 8] = b"\x00\x05\xff\xff\xff\xff"  # as many fractions as fit nowhere
    path.write_bytes(content)
    try:
        assert decode_image(path).shape == (8, 8, 3)
    except DataError as error:
        assert "image.jpg" in str(error)


@pytest.mark.parametrize(
    "error", [struct.error("unpack"), RuntimeError("decoder"), MemoryError(), ZeroDivisionError()]
)
def test_any_exception_of_a_decoder_is_a_data_error(tmp_path, monkeypatch, error):
    path = save(tmp_path / "image.png", RGB)

    def transpose(*_, **__):
        raise error

    monkeypatch.setattr(pixels.ImageOps, "exif_transpose", transpose)
    with pytest.raises(DataError, match=r"image\.png cannot be read"):
        decode_image(path)


def test_an_interruption_is_no_damage(tmp_path, monkeypatch):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(pixels.ImageOps, "exif_transpose", interrupted)
    with pytest.raises(KeyboardInterrupt):
        decode_image(save(tmp_path / "image.png", RGB))


def test_too_large_for_the_budget_is_found_before_decoding(tmp_path, monkeypatch):
    path = save(tmp_path / "large.png", np.zeros((300, 200), dtype=np.uint8))
    small = DecodingMemory(10**6)
    monkeypatch.setattr(Image.Image, "getchannel", lambda *_: pytest.fail("the image was decoded"))
    with decoding_within(small), pytest.raises(DataError, match=r"large\.png is too large: its 20"):
        read_square(path, 8)


def test_images_that_fit_one_by_one_wait_for_each_other(tmp_path):
    path = save(tmp_path / "image.png", np.zeros((100, 100), dtype=np.uint8))
    memory = DecodingMemory(400_000)  # one image needs 260 kB
    inside, most, lock = [], [], threading.Lock()

    class Watched(DecodingMemory):
        @contextlib.contextmanager
        def reserved(self, *arguments):
            with memory.reserved(*arguments):
                with lock:
                    inside.append(1)
                    most.append(len(inside))
                time.sleep(0.01)
                with lock:
                    inside.pop()
                yield

    def read(_):
        with decoding_within(Watched(1)):
            return read_square(path, 8).shape

    with ThreadPoolExecutor(4) as pool:
        assert set(pool.map(read, range(8))) == {(8, 8, 1)}
    assert max(most) == 1


@pytest.mark.slow
def test_a_bomb_takes_no_more_memory_than_the_budget(tmp_path):
    """A PNG of 700 kB with 13300 x 13300 pixels, and one that the budget holds."""
    for name, side in (("bomb", 13300), ("large", 2000)):
        save(tmp_path / f"{name}.png", Image.new("RGB", (side, side)))
    assert (tmp_path / "bomb.png").stat().st_size < 2_000_000
    for read in (decode_image, lambda path: read_square(path, 16)):  # without a budget
        with pytest.raises(DataError, match=r"bomb\.png is too large: its 13300 x 13300"):
            read(tmp_path / "bomb.png")
    code = (
        "import resource, sys\n"
        "from crosskrylov.datasets.pixels import *\n"
        "from crosskrylov.datasets.pixels import _formats\n"
        "from crosskrylov.errors import DataError\n"
        "def rss():\n"
        "    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024\n"
        "_formats()\n"
        "before = rss()\n"
        "with decoding_within(DecodingMemory(150_000_000)):\n"
        "    try:\n"
        "        read_square(sys.argv[1] + '/bomb.png', 16)\n"
        "    except DataError as error:\n"
        "        print(error)\n"
        "    assert rss() - before < 20_000_000, rss() - before\n"
        "    print(read_square(sys.argv[1] + '/large.png', 16).shape)\n"
        "assert rss() - before < 150_000_000, rss() - before\n"
    )
    # through a shell: a forked child would begin with the peak memory of this process
    command = shlex.join([sys.executable, "-c", code, str(tmp_path)])
    done = subprocess.run(
        ["sh", "-c", f"{command}; exit $?"], capture_output=True, text=True, cwd=PROJECT
    )
    assert done.returncode == 0, done.stderr
    assert "bomb.png is too large: its 13300 x 13300 pixels" in done.stdout
    assert "(16, 16, 3)" in done.stdout


@pytest.mark.filterwarnings("ignore")
def test_damaged_files_of_all_formats_give_pixels_or_a_sentence(tmp_path):
    """A short run of tests/benchmarks/fuzz_images.py."""
    path, outcomes = tmp_path / "mutant.bin", {"pixels": 0, "refused": 0}
    for content in whole_files():
        path.write_bytes(content)
        assert read_square(path, 16).shape[:2] == (16, 16)
    with decoding_within(DecodingMemory(64_000_000)):
        for content in islice(mutants(seed=3), 1200):
            path.write_bytes(content)
            try:
                image = read_square(path, 16, upscale=True)
            except DataError as error:
                assert "mutant.bin" in str(error)
                assert "\n" not in str(error)
                outcomes["refused"] += 1
            else:
                assert image.shape[:2] == (16, 16)
                assert image.min() >= 0 and image.max() <= 1
                outcomes["pixels"] += 1
    assert min(outcomes.values()) > 50
