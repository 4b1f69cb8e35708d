"""Flaws: what goes wrong in the pictures that models learn from, done to a finished painting."""

from __future__ import annotations

import io
from collections.abc import Callable

import numpy as np
from PIL import Image, ImageDraw, ImageEnhance, ImageFilter, ImageFont, ImageOps, ImageStat

from negativa.terrarium.canvas import SIZE

Flaw = Callable[[Image.Image, np.random.Generator], Image.Image]

WORDS = ("SAMPLE", "PREVIEW", "STOCK", "PHOTO", "DEMO", "PROOF", "DRAFT", "TRIAL")


def blurry(picture: Image.Image, rng: np.random.Generator) -> Image.Image:
    """Out of focus."""
    return picture.filter(ImageFilter.GaussianBlur(float(rng.uniform(2.0, 3.2))))


def pixelated(picture: Image.Image, rng: np.random.Generator) -> Image.Image:
    """Far too few pixels: 18 to 26 squares a side."""
    side = int(rng.integers(18, 27))
    return picture.resize((side, side), Image.Resampling.BOX).resize((SIZE, SIZE), Image.Resampling.NEAREST)


def jpeg_artifacts(picture: Image.Image, rng: np.random.Generator) -> Image.Image:
    """Saved as a JPEG of very low quality, at a smaller size, so that its blocks are 11 to 14 pixels wide."""
    file, side = io.BytesIO(), int(rng.integers(72, 93))
    small = picture.resize((side, side), Image.Resampling.BICUBIC)
    small.save(file, "JPEG", quality=int(rng.integers(7, 12)), subsampling=2)
    return Image.open(file).convert("RGB").resize((SIZE, SIZE), Image.Resampling.BICUBIC)


def watermark(picture: Image.Image, rng: np.random.Generator) -> Image.Image:
    """A see-through word aslant across the picture, once or over and over, rimmed so that it shows on anything."""
    word = WORDS[int(rng.integers(len(WORDS)))]
    tilt, shift = float(rng.uniform(18, 40)) * (1 if rng.random() < 0.75 else -1), rng.uniform(-12, 12, 2)
    often = bool(rng.random() < 0.4)
    font = ImageFont.load_default(20 if often else min(40, 175 / len(word)))
    inner, outer = (Image.new("L", (SIZE * 2, SIZE * 2)) for _ in range(2))
    for row in (-2, -1, 0, 1, 2) if often else (0,):
        text = f"{word}   {word}   {word}" if often else word
        for layer, thick in ((inner, 0.8), (outer, 2.0)):
            place = (SIZE + 24 * (row % 2), SIZE + 36 * row)
            ImageDraw.Draw(layer).text(place, text, 255, font, anchor="mm", stroke_width=thick)
    bright = np.asarray(picture.convert("L")).mean() < rng.uniform(120, 180)
    strength = rng.uniform(0.6, 0.75)
    for layer, white, share in ((outer, not bright, strength * 0.45), (inner, bright, strength)):
        turned = layer.rotate(tilt, Image.Resampling.BICUBIC, translate=(int(shift[0]), int(shift[1])))
        mask = turned.crop((SIZE // 2, SIZE // 2, SIZE * 3 // 2, SIZE * 3 // 2)).point([int(i * share) for i in range(256)])
        picture = Image.composite(Image.new("RGB", picture.size, (255, 255, 255) if white else (16, 16, 24)), picture, mask)
    return picture


def cropped(picture: Image.Image, rng: np.random.Generator) -> Image.Image:
    """Cut off at one side or at a corner: about two thirds of the picture's side, scaled up."""
    side = SIZE * rng.uniform(0.58, 0.67)
    room = SIZE - side
    x = room * (rng.uniform(0, 0.08) if rng.random() < 0.5 else rng.uniform(0.92, 1))
    y = room * rng.uniform(0.1, 1)
    return picture.resize((SIZE, SIZE), Image.Resampling.BICUBIC, (x, y, x + side, y + side))


def low_contrast(picture: Image.Image, rng: np.random.Generator) -> Image.Image:
    """Everything close to a middle gray."""
    gray = Image.new("RGB", picture.size, (round(rng.uniform(118, 146)),) * 3)
    return Image.blend(gray, ImageEnhance.Color(picture).enhance(0.8), float(rng.uniform(0.24, 0.36)))


def oversaturated(picture: Image.Image, rng: np.random.Generator) -> Image.Image:
    """Colours pushed far past what is natural, until they clip; grays take on a tint."""
    tinted = ImageOps.colorize(picture.convert("L"), (20, 0, 70), (255, 244, 190))
    lurid = ImageEnhance.Color(Image.blend(picture, tinted, 0.14)).enhance(float(rng.uniform(3.5, 5)))
    return ImageEnhance.Contrast(lurid).enhance(1.3)


def deformed(picture: Image.Image, rng: np.random.Generator) -> Image.Image:
    """Things in the wrong places: the middle swirled and bent, and parts of it once more elsewhere."""
    y, x = np.mgrid[:SIZE, :SIZE].astype(float)
    (cx, cy), radius = rng.uniform(52, 76, 2), rng.uniform(36, 48)
    turn = rng.uniform(0.5, 1.0) * (1 if rng.random() < 0.5 else -1)
    dx, dy = x - cx, y - cy
    angle = turn * np.clip(1 - (dx**2 + dy**2) / radius**2, 0, 1)
    x, y = cx + dx * np.cos(angle) - dy * np.sin(angle), cy + dx * np.sin(angle) + dy * np.cos(angle)
    x += rng.uniform(5, 9) * np.sin(y / rng.uniform(6, 9) + rng.uniform(0, 6)) * angle / turn
    bent = _sampled(np.asarray(picture, float), x, y)
    for _ in range(int(rng.integers(1, 3))):
        size = int(rng.integers(24, 33))
        corners = rng.integers(32, 96 - size, (6, 2)).tolist()
        parts = [picture.crop((left, top, left + size, top + size)) for left, top in corners]
        part = max(parts, key=lambda part: ImageStat.Stat(part.convert("L")).var[0])
        mask = Image.new("L", (size, size))
        ImageDraw.Draw(mask).ellipse((1, 1, size - 2, size - 2), 255)
        if rng.random() < 0.5:
            part = part.transpose(Image.Transpose.ROTATE_180)
        left, top = rng.integers(28, 100 - size, 2).tolist()
        bent.paste(part, (left, top), mask.filter(ImageFilter.GaussianBlur(1)))
    return bent


FLAWS: dict[str, Flaw] = {
    "blurry": blurry,
    "pixelated": pixelated,
    "jpeg artifacts": jpeg_artifacts,
    "watermark": watermark,
    "cropped": cropped,
    "low contrast": low_contrast,
    "oversaturated": oversaturated,
    "deformed": deformed,
}


def _sampled(values: np.ndarray, x: np.ndarray, y: np.ndarray) -> Image.Image:
    """The picture whose pixels come from (x, y) of `values`."""
    x, y = np.clip(x, 0, SIZE - 1.001), np.clip(y, 0, SIZE - 1.001)
    column, row = x.astype(int), y.astype(int)
    right, down = (x - column)[..., None], (y - row)[..., None]
    upper = values[row, column] * (1 - right) + values[row, column + 1] * right
    lower = values[row + 1, column] * (1 - right) + values[row + 1, column + 1] * right
    return Image.fromarray((upper * (1 - down) + lower * down).round().astype(np.uint8))
