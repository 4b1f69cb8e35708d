"""Gaussian mixtures as a model family: every prediction is the exact one, in closed form (see `negativa.exact`)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np
import torch
from diffusers import DDPMScheduler
from PIL import Image, ImageDraw
from torch import Tensor

from negativa.errors import InputError
from negativa.exact import Mixture
from negativa.plain import images
from negativa.plain.conditions import Condition, NothingKind, Words
from negativa.plain.knobs import KNOBS
from negativa.plain.passes import Pass

SCHEDULE: Final = {  # as Stable Diffusion was trained
    "num_train_timesteps": 1000,
    "beta_schedule": "scaled_linear",
    "beta_start": 0.00085,
    "beta_end": 0.012,
    "clip_sample": False,
    "set_alpha_to_one": False,
    "steps_offset": 1,
}
FLOW: Final = {"_class_name": "FlowMatchEulerDiscreteScheduler", "num_train_timesteps": 1000, "shift": 1.0}
SIDE: Final = 256  # pixels of the plot
COLOURS: Final = ("#4477aa", "#ee6677", "#228833", "#ccbb44", "#66ccee", "#aa3377")  # one a label, and again from the first


@dataclass
class Exact:
    """A mixture that answers as a network would; see `Denoiser`. Latents are points, (dimensions, 1, 1).

    A prompt or negative names labels, several separated by commas; the empty one and every kind of nothing stand for
    all. `prediction` says what is predicted: the noise ("epsilon"), the velocity ("v_prediction"), or noise - x0 on the
    straight path of a flow ("flow_prediction"), where x_t = (1 - t) x0 + t noise at timestep 1000 t. Each makes a model:
    `Studio(Exact(mixture, prediction="flow_prediction"))`. Computed in float64 on the CPU. Between two timesteps of a
    noise schedule sigma / alpha is interpolated linearly, as diffusers' Euler and Heun schedulers do it.
    """

    mixture: Mixture
    name: str = ""
    prediction: Literal["epsilon", "v_prediction", "flow_prediction"] = "epsilon"

    def __post_init__(self) -> None:
        self.hash, self.device, self.dtype = self.mixture.hash, "cpu", "float64"
        self.largest = int(KNOBS["width"].most)
        self.factor, self.multiple, self.size, self.scale, self.scaling = SIDE, SIDE, SIDE, 2.0, (1.0, 0.0)
        self.nothing: NothingKind = "empty"
        self.distilled_scale = None
        self.patches: Mapping[str, Any] = {}
        self.adapters: Mapping[str, Any] = {}
        self._flow = self.prediction == "flow_prediction"
        self.name = self.name or f"mixture-{self.hash}" + "-flow" * self._flow
        self.scheduler: Mapping[str, Any] = FLOW if self._flow else SCHEDULE | {"prediction_type": self.prediction}
        kept = DDPMScheduler.from_config(SCHEDULE).alphas_cumprod.double().numpy()
        self._levels = np.sqrt((1 - kept) / kept)  # sigma / alpha at each timestep
        self._asked: dict[Condition, Mixture] = {}

    def schedule(self, width: int, height: int) -> Mapping[str, Any]:
        return self.scheduler

    def shape(self, width: int, height: int) -> tuple[int, int, int]:
        if (width, height) != (SIDE, SIDE):
            raise InputError(f"width and height: {width} and {height} were given; allowed: {SIDE}, the size of the plot")
        return self.mixture.dimensions, 1, 1

    def predict(self, latents: Sequence[Tensor], timesteps: Sequence[float], passes: Sequence[Pass]) -> Tensor:
        points = torch.stack(list(latents)).flatten(1).double().numpy()  # rows, dimensions
        alpha, sigma = self._parts(timesteps)
        predicted = np.empty_like(points)
        conditions = [one.condition for one in passes]
        for condition in set(conditions):
            rows = [i for i, one in enumerate(conditions) if one == condition]
            given = points[rows], alpha[rows], sigma[rows]
            asked = self._mixture(condition)
            predicted[rows] = asked.noise(*given)
            if self._flow:
                predicted[rows] -= asked.clean(*given)
            elif self.prediction == "v_prediction":
                predicted[rows] = alpha[rows, None] * predicted[rows] - sigma[rows, None] * asked.clean(*given)
        return torch.from_numpy(predicted).float()[..., None, None]

    def decode(self, latents: Sequence[Tensor], tiled: bool = False) -> list[Image.Image]:
        return [self._plot(one) for one in latents]

    def _plot(self, latents: Tensor) -> Image.Image:
        """Circles of one and two standard deviations around the means, and the point as a cross.

        The first two dimensions are shown; a point outside the plot stands at its edge.
        """
        means, stds = np.zeros((len(self.mixture.means), 2)), np.array(self.mixture.stds)
        means[:, : self.mixture.dimensions] = np.array(self.mixture.means)[:, :2]
        low, high = (means - 4 * stds[:, None]).min(0), (means + 4 * stds[:, None]).max(0)
        middle, scale = (low + high) / 2, SIDE / (high - low).max()

        def place(point: np.ndarray) -> np.ndarray:
            return SIDE / 2 + (point - middle) * scale * (1, -1)  # the second dimension points up

        image = Image.new("RGB", (SIDE, SIDE), "white")
        draw = ImageDraw.Draw(image)
        colours = dict(zip(dict.fromkeys(self.mixture.labels), COLOURS * len(means), strict=False))
        for mean, std, label in zip(place(means), stds * scale, self.mixture.labels, strict=True):
            for radius in (std, 2 * std):
                draw.ellipse([*(mean - radius), *(mean + radius)], outline=colours[label])
            draw.text(tuple(mean), label, fill=colours[label], anchor="mm")
        point = np.zeros(2)
        point[: self.mixture.dimensions] = latents.flatten()[:2].double().numpy()
        if np.isfinite(point).all():
            x, y = np.clip(place(point), 4, SIDE - 5)
            draw.line([x - 4, y, x + 4, y], fill="black", width=2)
            draw.line([x, y - 4, x, y + 4], fill="black", width=2)
        return image

    def refresh(self) -> None:
        pass  # it reads no files

    def look_at(self, image: images.Image | images.Blank) -> None:
        raise InputError(f"image: {self.name!r} reads none; allowed: a model with an adapter")

    def lora(self, file: str) -> Any:
        raise InputError(f"lora: {self.name!r} has no weights that {file!r} could change; allowed: a model that has")

    def chunks(self, words: Words) -> int:
        if not words.chunks:
            self._mixture(words)  # whose labels are worth knowing before any work
        return 0

    def learned(self, words: Words) -> Mapping[str, str]:
        return {}

    def unread(self, words: Words) -> str:
        return ""

    def unreadable(self, words: Words) -> list[str]:
        return []

    def unknown(self, words: Words) -> list[str]:
        return []

    def _parts(self, timesteps: Sequence[float]) -> tuple[np.ndarray, np.ndarray]:
        """How much of the clean point and of the noise is in a point at each timestep, (rows,) both."""
        if self._flow:
            share = np.array(timesteps) / FLOW["num_train_timesteps"]
            return 1 - share, share
        level = np.interp(timesteps, np.arange(len(self._levels)), self._levels)
        alpha = 1 / np.sqrt(1 + level**2)
        return alpha, alpha * level

    def _mixture(self, condition: Condition) -> Mixture:
        if condition not in self._asked:
            self._asked[condition] = self.mixture.only(condition.text) if isinstance(condition, Words) else self.mixture
        return self._asked[condition]
