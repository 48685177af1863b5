"""Image files to float32 pixels, and pixels to the size and channels asked for.

Everything here works on arrays [H, W, C] with C = 1 (grey) or 3 (RGB), float32, in [0, 1]. Eight
bits are not enough in between: a resized 8-bit image is rounded twice and a 16-bit one loses half
of its digits.
"""

import io
import math
import stat
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from pathlib import Path

import numpy as np
from PIL import Image, ImageCms, ImageOps

from crosskrylov.errors import ConfigError, DataError
from crosskrylov.runtime.files import printable

#: File name endings that count as images (lower case).
IMAGE_SUFFIXES = frozenset(
    {
        *(
            ".png",
            ".jpg",
            ".jpeg",
            ".jpe",
            ".jfif",
            ".webp",
            ".tif",
            ".tiff",
            ".bmp",
            ".dib",
            ".gif",
        ),
        *(".ppm", ".pgm", ".pbm", ".pnm", ".tga", ".jp2", ".j2k", ".avif"),
    }
)

#: What a file with such a name may hold, whatever it is called.  Formats that are drawn by other
#: programs (EPS by Ghostscript) or that hold programs are not among them.
FORMATS = (
    *("PNG", "JPEG", "MPO", "WEBP", "TIFF", "BMP", "DIB", "GIF", "PPM", "TGA", "JPEG2000"),
    "AVIF",
)

#: Memory that an image takes while it is decoded, cropped and resized channel by channel, in bytes
#: per pixel of the file (measured over all formats: at most 23, and 24.2 with transparency); and
#: while it is decoded as a whole.
BYTES_PER_PIXEL = 26
WHOLE_BYTES_PER_PIXEL = 42

#: Memory for one image where nobody sets a budget: 150 million pixels.
DEFAULT_MEMORY = 4 * 10**9

#: Weights of R, G and B in the grey value (ITU-R BT.601, what Pillow's mode L uses).
LUMA = np.array([0.299, 0.587, 0.114], dtype=np.float32)

#: Channels by the name of a colour, and the one where none is named.
CHANNELS = {"rgb": 3, "grey": 1}
COLOR = "rgb"


class DecodingMemory:
    """Memory that decoding may take, shared by all threads that decode.

    Parameters
    ----------
    n_bytes : int
        An image that needs more is refused before it is decoded; images that together need more
        are decoded one after the other.
    """

    def __init__(self, n_bytes: int):
        self.n_bytes = n_bytes
        self._left = n_bytes
        self._freed = threading.Condition()

    @contextmanager
    def reserved(self, image: Image.Image, per_pixel: int, name: str) -> Iterator[None]:
        """Wait for the memory that an image needs; DataError if it needs more than there is."""
        width, height = image.size
        need = per_pixel * width * height
        if need > self.n_bytes:
            raise DataError(
                f"image {name} is too large: its {width} x {height} pixels take "
                f"{need / 1e6:.0f} MB to decode, and the memory budget leaves "
                f"{self.n_bytes / 1e6:.3g} MB; scale it down or raise the budget."
            )
        with self._freed:
            self._freed.wait_for(lambda: self._left >= need)
            self._left -= need
        try:
            yield
        finally:
            with self._freed:
                self._left += need
                self._freed.notify_all()


_MEMORY: ContextVar[DecodingMemory | None] = ContextVar("decoding memory", default=None)


@contextmanager
def decoding_within(memory: DecodingMemory) -> Iterator[None]:
    """Let whatever this thread decodes in the body, through any source, keep to ``memory``."""
    token = _MEMORY.set(memory)
    try:
        yield
    finally:
        _MEMORY.reset(token)


def decode_image(path) -> np.ndarray:
    """Read one image file whatever its colour mode.

    The first frame is taken, EXIF orientation applied, transparency composited on white, a palette
    looked up, CMYK and Lab converted to sRGB (by the embedded ICC profile if there is one) and
    16-bit grey scaled by 65535. Profiles of RGB files are ignored; 16-bit RGB is read to eight
    bits, which is all Pillow gives.

    Parameters
    ----------
    path : path-like
        File to read.

    Returns
    -------
    pixels : ndarray, shape [H, W, C], float32, in [0, 1]
        C = 1 for grey files, 3 for colour files.

    Raises
    ------
    DataError
        If the file is missing, no regular file, truncated, none of `FORMATS`, too large, or has
        values that are NaN or out of range.
    """
    with _decoded(Path(path), WHOLE_BYTES_PER_PIXEL) as (image, name):
        return np.stack(list(_planes(image, name)), axis=2)


def read_square(path, image_size: int, *, crop_size=None, upscale=False) -> np.ndarray:
    """Read one image file, centre-crop it to a square and resize it: `decode_image` and `fit`.

    The pixels are the same as with these two, in a fifth of the memory: the square is cut out
    before, and the channels go one by one through, floating-point numbers.

    Parameters
    ----------
    path : path-like
    image_size, crop_size, upscale
        As for `fit`.

    Returns
    -------
    pixels : ndarray, shape [image_size, image_size, C], float32, in [0, 1]

    Raises
    ------
    DataError
        As `decode_image` and `fit` do.
    """
    with _decoded(Path(path), BYTES_PER_PIXEL) as (image, name):
        width, height = image.size
        side = _square_side(height, width, image_size, name, crop_size, upscale)
        left, top = (width - side) // 2, (height - side) // 2
        if (width, height) != (side, side):
            image = image.crop((left, top, left + side, top + side))
        planes = [resize(plane[:, :, None], image_size)[:, :, 0] for plane in _planes(image, name)]
        return np.stack(planes, axis=2)


@contextmanager
def _decoded(path: Path, per_pixel: int) -> Iterator[tuple[Image.Image, str]]:
    """Yield the upright image in a file, and what to call it; all that goes wrong is a DataError.

    What decoders raise of a damaged file is of any type (OSError, SyntaxError, struct.error,
    RuntimeError, MemoryError ...), in the body as well, where the pixels are looked at first.
    """
    name = printable(path)
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            # opening a pipe would wait for its writer, reading a device might never end
            raise DataError(f"image {name} is no regular file: replace or remove it.")
        memory = _MEMORY.get() or DecodingMemory(DEFAULT_MEMORY)
        with warnings.catch_warnings():
            # Pillow warns of large images and of damaged metadata; only damaged pixels matter here.
            warnings.simplefilter("ignore")
            with (
                Image.open(path, formats=_formats()) as image,
                memory.reserved(image, per_pixel, name),
            ):
                image.load()
                ImageOps.exif_transpose(image, in_place=True)
                yield image, name
    except DataError:
        raise
    except FileNotFoundError:
        lost = "is a link to nothing" if path.is_symlink() else "does not exist"
        raise DataError(f"image {name} {lost}: correct the path or restore it.") from None
    except Image.DecompressionBombError as error:
        raise DataError(f"image {name} is too large ({error}): scale it down.") from None
    except Exception as error:
        reason = printable(" ".join(str(error).split())) or type(error).__name__
        if isinstance(error, Image.UnidentifiedImageError):
            reason = "no known image format"
        elif isinstance(error, OSError) and error.strerror:
            reason = error.strerror
        raise DataError(
            f"image {name} cannot be read ({reason}): replace the file or remove it."
        ) from None


@cache
def _formats() -> tuple[str, ...]:
    """Return those of `FORMATS` that this build of Pillow reads."""
    Image.init()
    return tuple(name for name in FORMATS if name in Image.OPEN)


def _planes(image: Image.Image, name: str) -> Iterator[np.ndarray]:
    """Yield the channels, one (grey) or three (RGB), each [H, W] float32 in [0, 1]."""
    mode = image.mode
    if mode in ("I", "F") or mode.startswith("I;16"):
        yield _deep_grey_to_float(np.asarray(image), mode, name)
        return
    if mode in ("CMYK", "LAB"):
        image = _to_srgb(image)
    elif image.has_transparency_data:
        # LA only for grey files: a palette, even a grey one, may hold colours.
        image = image.convert("LA" if mode in ("1", "L", "LA", "La") else "RGBA")
    elif mode in ("1", "L"):
        image = image.convert("L")
    elif mode != "RGB":  # P, YCbCr, HSV, RGBX ...
        image = image.convert("RGB")

    if image.mode not in ("LA", "RGBA"):
        for channel in image.getbands():
            yield _unit(image.getchannel(channel))
        return
    *colours, transparency = image.getbands()
    alpha = _unit(image.getchannel(transparency))
    for channel in colours:
        plane = _unit(image.getchannel(channel))
        plane *= alpha
        plane += 1 - alpha  # on white
        yield plane


def _unit(channel: Image.Image) -> np.ndarray:
    """Return a channel of eight bits as float32 in [0, 1]."""
    plane = np.asarray(channel).astype(np.float32)
    plane /= np.float32(255)
    return plane


def _deep_grey_to_float(values: np.ndarray, mode: str, name: str) -> np.ndarray:
    """Return 16-bit (0..65535) or floating-point (0..1) grey values as [H, W] float32."""
    low, high = float(values.min()), float(values.max())
    if not (math.isfinite(low) and math.isfinite(high)):
        raise DataError(f"image {name} has pixels that are NaN or infinite: repair or remove it.")
    top = 1.0 if mode == "F" else 65535.0
    if low < 0 or high > top:
        kind = "floating-point" if mode == "F" else "16-bit"
        raise DataError(
            f"image {name} has values from {low:g} to {high:g}, but {kind} grey is read as 0 to "
            f"{top:g}: rescale it."
        )
    # division in single precision rounds as in double: both numbers are exact
    plane = values.astype(np.float32)
    if top != 1:
        plane /= np.float32(top)
    return plane


def _to_srgb(image: Image.Image) -> Image.Image:
    """Convert CMYK or Lab to sRGB, by the file's own ICC profile where it has a usable one."""
    srgb = ImageCms.createProfile("sRGB")
    profile = image.info.get("icc_profile")
    if image.mode == "LAB":
        lab = ImageCms.createProfile("LAB")
        return ImageCms.profileToProfile(image, lab, srgb, outputMode="RGB")
    if profile:
        try:
            source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
            return ImageCms.profileToProfile(image, source, srgb, outputMode="RGB")
        except (ImageCms.PyCMSError, OSError):
            pass  # a damaged profile does not damage the picture: fall back to 255 - ink
    return image.convert("RGB")


def n_channels(color: str) -> int:
    """Return the number of channels of "rgb" or "grey"; ConfigError for anything else."""
    if color not in CHANNELS:
        raise ConfigError(f"color is {color!r}, which is unknown: use 'rgb' or 'grey'.")
    return CHANNELS[color]


def to_channels(pixels: np.ndarray, color: str) -> np.ndarray:
    """Return pixels [H, W, 1 or 3] with 3 channels for ``color="rgb"``, 1 for ``"grey"``."""
    n_channels(color)  # says what is wrong with it
    if color == "rgb":
        return np.repeat(pixels, 3, axis=2) if pixels.shape[2] == 1 else pixels
    return pixels if pixels.shape[2] == 1 else (pixels @ LUMA)[:, :, None]


def resize(pixels: np.ndarray, image_size: int) -> np.ndarray:
    """Resize a square image with an antialiasing bicubic filter.

    The filter widens with the reduction, so nothing aliases; its overshoot at edges is clipped.

    Parameters
    ----------
    pixels : ndarray, shape [S, S, C], float32
    image_size : int
        Side of the result, pixels.

    Returns
    -------
    pixels : ndarray, shape [image_size, image_size, C], float32, in [0, 1]
    """
    if pixels.shape[:2] == (image_size, image_size):
        return pixels
    size = (image_size, image_size)
    # Mode F: Pillow resizes RGB in eight bits only.
    planes = [
        Image.fromarray(np.ascontiguousarray(pixels[:, :, c])).resize(
            size, Image.Resampling.BICUBIC
        )
        for c in range(pixels.shape[2])
    ]
    return np.clip(np.stack([np.asarray(plane) for plane in planes], axis=2), 0, 1)


def centre_crop(pixels: np.ndarray, side: int) -> np.ndarray:
    """Return the central square; where no square is central, the one half a pixel up and left."""
    top = (pixels.shape[0] - side) // 2
    left = (pixels.shape[1] - side) // 2
    return pixels[top : top + side, left : left + side]


def fit(pixels, image_size, name, *, crop_size=None, upscale=False) -> np.ndarray:
    """Centre-crop an image to a square and resize it.

    Parameters
    ----------
    pixels : ndarray, shape [H, W, C], float32
    image_size : int
        Side of the result, pixels.
    name : str or path-like
        What the message calls the image.
    crop_size : int, optional
        Side of the central square in pixels of the file; the shorter side if None.
    upscale : bool
        Whether an image smaller than ``image_size`` may be enlarged.

    Raises
    ------
    DataError
        If the image is smaller than the crop, or than ``image_size`` without ``upscale``.
    """
    height, width = pixels.shape[:2]
    side = _square_side(height, width, image_size, name, crop_size, upscale)
    return resize(centre_crop(pixels, side), image_size)


def _square_side(height, width, image_size, name, crop_size, upscale) -> int:
    """Return the side of the central square that is kept; DataError if the image is too small."""
    side = min(height, width) if crop_size is None else crop_size
    if side > min(height, width):
        raise DataError(
            f"image {name} is {width} x {height} pixels (width x height), smaller than crop_size "
            f"{crop_size}: lower crop_size or remove the image."
        )
    if side < image_size and not upscale:
        cropped = "" if crop_size is None else f", cropped to crop_size {crop_size}"
        raise DataError(
            f"image {name} is {width} x {height} pixels (width x height){cropped}, smaller than "
            f"image_size {image_size}: lower image_size, remove the image or set upscale: true."
        )
    return side
