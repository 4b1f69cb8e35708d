"""A sheet to paint on: shapes in units of the finished picture, drawn large and shrunk so that edges are smooth."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw

SIZE = 128  # width and height of a finished picture, pixels
OVERSAMPLE = 3

Colour = tuple[int, int, int]
Point = tuple[float, float]


def mix(first: Colour, second: Colour, share: float) -> Colour:
    """The colour `share` (0 to 1) of the way from `first` to `second`."""
    return tuple(round(a + (b - a) * share) for a, b in zip(first, second, strict=True))  # type: ignore[return-value]


def lighter(colour: Colour, share: float) -> Colour:
    """`colour` moved towards white."""
    return mix(colour, (255, 255, 255), share)


def darker(colour: Colour, share: float) -> Colour:
    """`colour` moved towards black."""
    return mix(colour, (0, 0, 0), share)


def any_colour(rng: np.random.Generator, least: int, most: int) -> Colour:
    """A colour by lot, each part from `least` up to but without `most`."""
    red, green, blue = (int(part) for part in rng.integers(least, most, 3))
    return red, green, blue


class Canvas:
    """Draws filled shapes at `OVERSAMPLE` times the size; coordinates run from 0 to 128, y downwards."""

    def __init__(self) -> None:
        side = SIZE * OVERSAMPLE
        self._image = Image.new("RGB", (side, side))
        self._draw = ImageDraw.Draw(self._image)

    def gradient(self, top: Colour, bottom: Colour, y0: float = 0, y1: float = SIZE) -> None:
        """Fill the full width between two heights with a vertical gradient."""
        first, last = round(y0 * OVERSAMPLE), round(y1 * OVERSAMPLE)
        for y in range(first, last):
            self._draw.line(((0, y), (self._image.width, y)), mix(top, bottom, (y - first) / max(1, last - first)))

    def ellipse(self, x: float, y: float, rx: float, ry: float, colour: Colour) -> None:
        """A filled ellipse around (x, y)."""
        s = OVERSAMPLE
        self._draw.ellipse(((x - rx) * s, (y - ry) * s, (x + rx) * s, (y + ry) * s), colour)

    def ball(self, x: float, y: float, rx: float, ry: float, colour: Colour, light: float = 0.18) -> None:
        """An ellipse lit from the upper left."""
        for i in range(8):
            share = i / 7
            shade = mix(darker(colour, light * 0.7), lighter(colour, light), share)
            shift = share * 0.28
            self.ellipse(x - rx * shift * 0.5, y - ry * shift * 0.6, rx * (1 - shift * 1.25), ry * (1 - shift * 1.25), shade)

    def ring(self, x: float, y: float, rx: float, ry: float, colour: Colour, width: float) -> None:
        """The outline of an ellipse."""
        s = OVERSAMPLE
        box = ((x - rx) * s, (y - ry) * s, (x + rx) * s, (y + ry) * s)
        self._draw.ellipse(box, outline=colour, width=max(1, round(width * s)))

    def rectangle(self, x0: float, y0: float, x1: float, y1: float, colour: Colour) -> None:
        """A filled rectangle from one corner to the other."""
        s = OVERSAMPLE
        self._draw.rectangle((x0 * s, y0 * s, x1 * s, y1 * s), colour)

    def polygon(self, points: Sequence[Point], colour: Colour) -> None:
        """A filled polygon with straight sides."""
        self._draw.polygon([(x * OVERSAMPLE, y * OVERSAMPLE) for x, y in points], colour)

    def blob(self, points: Sequence[Point], colour: Colour) -> None:
        """A filled closed curve through the points (Catmull-Rom spline)."""
        smooth: list[Point] = []
        count = len(points)
        for i in range(count):
            a, b, c, d = (points[(i + k) % count] for k in (-1, 0, 1, 2))
            for t in (0.0, 0.25, 0.5, 0.75):
                smooth.append((_spline(a[0], b[0], c[0], d[0], t), _spline(a[1], b[1], c[1], d[1], t)))
        self.polygon(smooth, colour)

    def line(self, points: Sequence[Point], colour: Colour, width: float) -> None:
        """A line of round joints through the points."""
        scaled = [(x * OVERSAMPLE, y * OVERSAMPLE) for x, y in points]
        self._draw.line(scaled, colour, max(1, round(width * OVERSAMPLE)), joint="curve")

    def arc(self, x: float, y: float, rx: float, ry: float, start: float, stop: float, colour: Colour, width: float) -> None:
        """Part of an ellipse's outline, angles in degrees clockwise from the right."""
        angles = [math.radians(start + (stop - start) * i / 12) for i in range(13)]
        self.line([(x + rx * math.cos(a), y + ry * math.sin(a)) for a in angles], colour, width)

    def picture(self) -> Image.Image:
        """The finished picture, 128 by 128, RGB."""
        return self._image.reduce(OVERSAMPLE)


def _spline(a: float, b: float, c: float, d: float, t: float) -> float:
    return 0.5 * (2 * b + (c - a) * t + (2 * a - 5 * b + 4 * c - d) * t * t + (3 * b - a - 3 * c + d) * t**3)
