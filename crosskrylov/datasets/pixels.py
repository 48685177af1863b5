"""Image files to float32 pixels, and pixels to the size and channels asked for.

Everything here works on arrays [H, W, C] with C = 1 (grey) or 3 (RGB), float32, in [0, 1]. Eight
bits are not enough in between: a resized 8-bit image is rounded twice and a 16-bit one loses half
of its digits.
"""

import io
import warnings
from pathlib import Path

import numpy as np
from PIL import Image, ImageCms, ImageOps

from crosskrylov.errors import ConfigError, DataError

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

#: Weights of R, G and B in the grey value (ITU-R BT.601, what Pillow's mode L uses).
LUMA = np.array([0.299, 0.587, 0.114], dtype=np.float32)

#: Channels by the name of a colour, and the one where none is named.
CHANNELS = {"rgb": 3, "grey": 1}
COLOR = "rgb"


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
        If the file is missing, truncated, not an image, or has values that are NaN or out of range.
    """
    path = Path(path)
    try:
        with warnings.catch_warnings():
            # Pillow warns of large images and of damaged metadata; only damaged pixels matter here.
            warnings.simplefilter("ignore")
            with Image.open(path) as image:
                image.load()
                return _to_float(ImageOps.exif_transpose(image), path)
    except FileNotFoundError:
        raise DataError(f"image {path} does not exist: correct the path or restore it.") from None
    except Image.DecompressionBombError as error:
        raise DataError(f"image {path} is too large ({error}): scale it down.") from None
    # Decoders report damage by several types: OSError (truncated), SyntaxError (broken PNG) ...
    except (OSError, SyntaxError, ValueError, EOFError, IndexError, TypeError) as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        if isinstance(error, Image.UnidentifiedImageError):
            reason = "no known image format"
        raise DataError(
            f"image {path} cannot be read ({reason}): replace the file or remove it."
        ) from None


def _to_float(image: Image.Image, path: Path) -> np.ndarray:
    mode = image.mode
    if mode in ("I", "F") or mode.startswith("I;16"):
        return _deep_grey_to_float(np.asarray(image), mode, path)
    if mode in ("CMYK", "LAB"):
        image = _to_srgb(image)
    elif image.has_transparency_data:
        # LA only for grey files: a palette, even a grey one, may hold colours.
        image = image.convert("LA" if mode in ("1", "L", "LA", "La") else "RGBA")
    elif mode in ("1", "L"):
        image = image.convert("L")
    elif mode != "RGB":  # P, YCbCr, HSV, RGBX ...
        image = image.convert("RGB")

    pixels = np.asarray(image, dtype=np.float32) / np.float32(255)
    if pixels.ndim == 2:
        return pixels[:, :, None]
    if image.mode in ("LA", "RGBA"):
        colour, alpha = pixels[:, :, :-1], pixels[:, :, -1:]
        return colour * alpha + (1 - alpha)  # on white
    return pixels


def _deep_grey_to_float(values: np.ndarray, mode: str, path: Path) -> np.ndarray:
    """Return 16-bit (0..65535) or floating-point (0..1) grey values as [H, W, 1] float32."""
    if not np.isfinite(values).all():
        raise DataError(f"image {path} has pixels that are NaN or infinite: repair or remove it.")
    top = 1.0 if mode == "F" else 65535.0
    low, high = float(values.min()), float(values.max())
    if low < 0 or high > top:
        kind = "floating-point" if mode == "F" else "16-bit"
        raise DataError(
            f"image {path} has values from {low:g} to {high:g}, but {kind} grey is read as 0 to "
            f"{top:g}: rescale it."
        )
    return (values.astype(np.float64) / top).astype(np.float32)[:, :, None]


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
    return resize(centre_crop(pixels, side), image_size)
