"""Styles: how a whole picture is drawn, made from the finished painting; without one it has the world's usual shading."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from PIL import Image, ImageDraw, ImageEnhance, ImageFilter, ImageOps

from negativa.terrarium.canvas import SIZE

Style = Callable[[Image.Image, np.random.Generator], Image.Image]

COARSE = 2  # strokes are painted at this many times the size
TOUCH = np.array(((-1, 0.4), (-0.8, 1), (0.7, 0.9), (1, 0), (0.7, -0.9), (-0.8, -1), (-1, -0.4)))  # a stroke's outline
RIDGE = np.array(((-0.8, 0.6), (0, 0.9), (0.7, 0.6), (0, 0.3)))  # where it catches the light
#: The strokes of a painting, broad to fine: width, length, spacing, and the least error that they mend.
LAYERS = ((8.0, 20.0, 6.4, 0), (4.4, 11.0, 4.2, 24), (2.4, 5.5, 2.2, 26), (1.7, 3.4, 1.5, 32))


def flat(picture: Image.Image, rng: np.random.Generator) -> Image.Image:
    """A poster: a handful of strong flat colours with clean edges."""
    vivid = ImageEnhance.Contrast(ImageEnhance.Color(picture).enhance(1.7)).enhance(1.1)
    large = vivid.resize((SIZE * 3 // 2, SIZE * 3 // 2), Image.Resampling.BICUBIC)
    many = vivid.filter(ImageFilter.MedianFilter(3)).quantize(32, Image.Quantize.MAXCOVERAGE, kmeans=1)
    counts = np.bincount(np.asarray(many).ravel())
    colours = np.array(many.getpalette(), float).reshape(-1, 3)[: len(counts)]
    few = _merged(colours[counts > 0], counts[counts > 0], int(rng.integers(9, 12)))
    palette = Image.new("P", (1, 1))
    palette.putpalette(few.round().astype(np.uint8).tobytes())
    areas = large.quantize(palette=palette, dither=Image.Dither.NONE).filter(ImageFilter.ModeFilter(5))
    return areas.convert("RGB").resize((SIZE, SIZE), Image.Resampling.BOX)


def sketch(picture: Image.Image, rng: np.random.Generator) -> Image.Image:
    """Pencil on paper: dark outlines, hatching in the shadows, hardly any tone."""
    gray = ImageOps.autocontrast(picture.convert("L"), 1).filter(ImageFilter.GaussianBlur(1.2))
    tone = 1 - (np.asarray(gray, float) / 255) ** 0.7
    y, x = np.mgrid[:SIZE, :SIZE]
    angle, wobble = rng.uniform(0.6, 0.95), _noise(rng, 7) * 1.6
    hatching = np.zeros((SIZE, SIZE))
    for turn, least, period in ((angle, 0.4, 5.2), (-angle, 0.62, 5.8)):
        wave = np.cos((x * math.cos(turn) + y * math.sin(turn) + wobble) * 2 * math.pi / period)
        hatching += np.clip(wave + 0.25, 0, 1) * np.clip((tone - least) * 4, 0, 1) * 0.5
    lines = _outlines(picture) * np.clip(0.9 + 0.12 * _noise(rng, 64), 0, 1)
    white = (1 - 0.16 * tone) * (1 - np.clip(hatching, 0, 0.55)) * (1 - lines)
    paper, lead = np.array((250.0, 248.0, 242.0)), rng.uniform((36, 36, 40), (56, 54, 62))
    return _image(lead + (paper - lead) * white[..., None])


def painting(picture: Image.Image, rng: np.random.Generator) -> Image.Image:
    """Oil on canvas: short thick strokes along the forms, broad ones first, fine ones where there is detail."""
    flow = _flow(picture, rng)
    sheet = picture.filter(ImageFilter.GaussianBlur(4)).resize((SIZE * COARSE, SIZE * COARSE))
    brush = ImageDraw.Draw(sheet)
    for width, length, spacing, least in LAYERS:
        goal = np.asarray(picture.filter(ImageFilter.GaussianBlur(width / 6)), float)
        steps = np.arange(0, SIZE, spacing)
        places = np.stack(np.meshgrid(steps, steps), -1).reshape(-1, 2)
        places = rng.permutation(np.clip(places + rng.uniform(0, spacing, places.shape), 0, SIZE - 1))
        chance = rng.normal(0, 1, (len(places), 4))
        column, row = places.astype(int).T
        error = np.abs(np.asarray(sheet.reduce(COARSE), float) - goal).max(-1)[row, column]
        colours = goal[row, column] + (1 if width > 4 else 0.4) * (13 * chance[:, :1] + 5 * chance[:, 1:])
        angles = flow[row, column] + 0.15 * chance[:, 0]
        _strokes(brush, places[error >= least], angles[error >= least], colours[error >= least], length, width)
    return sheet.reduce(COARSE)


def neon(picture: Image.Image, rng: np.random.Generator) -> Image.Image:
    """Neon signs: glowing outlines in pure colours on the dark."""
    lines = _outlines(picture)[..., None]
    soft = np.asarray(picture.filter(ImageFilter.MaxFilter(3)).filter(ImageFilter.GaussianBlur(2)), np.float32)
    hue = soft - soft.min(-1, keepdims=True) * 0.9
    first, second = rng.permutation(((255, 40, 190), (40, 230, 255), (255, 170, 30), (90, 255, 120)))[:2]
    share = np.clip(0.5 + _noise(rng, 4) * 0.8, 0, 1)[..., None]
    hue = hue + (first * share + second * (1 - share)) * 0.2
    light = hue / hue.max(-1, keepdims=True) * 255
    tubes = _image(light * lines)
    near, far = (np.asarray(tubes.filter(ImageFilter.GaussianBlur(radius)), np.float32) for radius in (2, 6))
    dark = np.array((12, 8, 30)) + np.asarray(picture, float) * 0.06
    return _image(dark + far + near * 0.7 + (light * 0.85 + 36) * lines)


def grayscale(picture: Image.Image, rng: np.random.Generator) -> Image.Image:
    """Black, white and gray, stretched over the full range."""
    return ImageOps.autocontrast(picture.convert("L"), float(rng.uniform(0.5, 1.5))).convert("RGB")


STYLES: dict[str, Style] = {"flat": flat, "sketch": sketch, "painting": painting, "neon": neon, "grayscale": grayscale}


def _image(values: np.ndarray) -> Image.Image:
    return Image.fromarray(np.clip(values, 0, 255).round().astype(np.uint8))


def _smooth(values: np.ndarray, cells: int) -> np.ndarray:
    coarse = Image.fromarray(values.astype(np.float32)).resize((cells, cells), Image.Resampling.BOX)
    return np.asarray(coarse.resize((SIZE, SIZE), Image.Resampling.BICUBIC))


def _noise(rng: np.random.Generator, cells: int) -> np.ndarray:
    return _smooth(rng.normal(0, 1, (cells, cells)), cells)


def _outlines(picture: Image.Image) -> np.ndarray:
    """Where a line belongs, 0 to 1: on the dark side of edges and on thin dark things, hardly around an eye (no glasses)."""
    near, wide, far = (np.asarray(picture.filter(ImageFilter.GaussianBlur(radius)), np.float32) for radius in (0.6, 1.8, 5))
    step = wide - near
    large = np.clip((far - near) / np.maximum(step, 1) - 0.75, 0, 0.4) * 2.5
    return np.clip(((step * large / (wide + 40)).max(-1) - 0.016) / 0.045, 0, 1)


def _flow(picture: Image.Image, rng: np.random.Generator) -> np.ndarray:
    """The direction of the strokes at every pixel, as an angle: along the edges nearby, in lazy curves where there are none."""
    down, right = np.gradient(np.asarray(picture.convert("L").filter(ImageFilter.GaussianBlur(2)), float))
    drift = rng.uniform(0, math.pi) + _noise(rng, 4)
    same = _smooth(right**2 - down**2 + 4 * np.cos(2 * drift), 32)
    cross = _smooth(2 * right * down + 4 * np.sin(2 * drift), 32)
    return np.arctan2(cross, same) / 2 + math.pi / 2


def _strokes(
    brush: ImageDraw.ImageDraw, places: np.ndarray, angles: np.ndarray, colours: np.ndarray, length: float, width: float
) -> None:
    """Touches of the brush, each with a lit ridge along one side."""
    along = np.stack((np.cos(angles), np.sin(angles)), -1)[:, None] * length / 2
    across = np.stack((-np.sin(angles), np.cos(angles)), -1)[:, None] * width / 2
    shapes = [(places[:, None] + tips[:, :1] * along + tips[:, 1:] * across) * COARSE for tips in (TOUCH, RIDGE)]
    touches, ridges = (shape.reshape(len(shape), shape.shape[1] * 2).tolist() for shape in shapes)
    shades, lights = (np.clip(colours + more, 0, 255).astype(int).tolist() for more in (0, 16))
    for touch, shade, ridge, light in zip(touches, shades, ridges, lights, strict=True):
        brush.polygon(touch, tuple(shade))
        brush.polygon(ridge, tuple(light))


def _merged(colours: np.ndarray, counts: np.ndarray, few: int) -> np.ndarray:
    """The colours, the two that are nearest and rarest made into one until `few` are left; hue counts for more than shade."""
    counts = counts.astype(float)
    while len(colours) > few:
        shade = colours.mean(-1, keepdims=True)
        places, weights = colours * 1.5 - shade, counts**0.25
        cost = ((places[:, None] - places) ** 2).sum(-1) / (1 / weights[:, None] + 1 / weights)
        np.fill_diagonal(cost, np.inf)
        first, second = sorted(divmod(int(cost.argmin()), len(colours)))
        colours[first] = np.average(colours[[first, second]], 0, counts[[first, second]])
        counts[first] += counts[second]
        colours, counts = np.delete(colours, second, 0), np.delete(counts, second)
    return colours
