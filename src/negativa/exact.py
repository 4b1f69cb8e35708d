"""A world whose truth is a formula: Gaussian mixtures with labels, and what remains of one when a label is removed.

    p(x)   = sum_k w_k N(x; m_k, s_k^2 I)
    p_t(x) = sum_k w_k N(x; alpha m_k, (alpha^2 s_k^2 + sigma^2) I)

m_k, s_k, w_k are mean, standard deviation and weight of component k; p_t is p after the noise of a diffusion model,
x_t = alpha x + sigma noise. Everything a network would have to learn of p_t is known: see `Mixture`. The distribution
without a label is the same mixture with that label's components left out, so that every rule can be held to it: `judge`.
A prompt that names the remaining labels is therefore what a perfect rule would do.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from negativa.errors import InputError, nearest

if TYPE_CHECKING:
    from numpy.typing import NDArray

RARE: Final = math.exp(-8)  # the share of a component's own points that lie off the manifold: in 2-D those beyond 4 stds


@dataclass(frozen=True, init=False)
class Mixture:
    """Round Gaussians: one row of `means` (components, dimensions), one of `stds` and one of `labels` for each.

    `weights` are made to sum to one. Components of one label belong together. A text names labels, several separated
    by commas; a text without any names all of them.
    Raises `InputError` for numbers that make no mixture, and for a label that a text could not name.
    """

    means: tuple[tuple[float, ...], ...]
    stds: tuple[float, ...]
    weights: tuple[float, ...]
    labels: tuple[str, ...]

    def __init__(
        self, means: Sequence[Sequence[float]], stds: Sequence[float], weights: Sequence[float], labels: Sequence[str]
    ) -> None:
        numbers = {
            "means": _array("means", means, 2),
            "stds": _array("stds", stds, 1),
            "weights": _array("weights", weights, 1),
        }
        lengths = {name: len(values) for name, values in (numbers | {"labels": labels}).items()}
        if len(set(lengths.values())) != 1 or not numbers["means"].size:
            given = ", ".join(f"{length} {name}" for name, length in lengths.items())
            raise InputError(f"mixture: {given} were given; allowed: one of each for every component")
        for name in ("stds", "weights"):
            if (least := numbers[name].min()) <= 0:
                raise InputError(f"{name}: {least:g} was given; allowed: numbers above 0")
        for label in labels:
            if not isinstance(label, str) or "," in label or label.strip() != label or not label:
                raise InputError(f"labels: {label!r} was given; allowed: a text without commas or blanks around it")
        numbers["weights"] = numbers["weights"] / numbers["weights"].sum()
        object.__setattr__(self, "means", tuple(map(tuple, numbers["means"].tolist())))
        object.__setattr__(self, "stds", tuple(numbers["stds"].tolist()))
        object.__setattr__(self, "weights", tuple(numbers["weights"].tolist()))
        object.__setattr__(self, "labels", tuple(labels))

    @property
    def dimensions(self) -> int:
        """How many numbers a point has."""
        return len(self.means[0])

    @cached_property
    def hash(self) -> str:
        """Ten hexadecimal digits that are the same for equal mixtures."""
        return hashlib.sha256(repr(self).encode()).hexdigest()[:10]

    def only(self, text: str) -> Mixture:
        """The mixture given that the label is one of those in a text. Raises `InputError` for a label it does not have."""
        return self._kept(self.named(text))

    def without(self, text: str) -> Mixture:
        """The mixture given that the label is none of those in a text: the truth that a negative should lead to.

        Raises `InputError` for a label it does not have, and if nothing would be left.
        """
        removed = self.named(text)
        if not (left := set(self.labels) - removed):
            raise InputError(f"labels: {text!r} was given; allowed: a text that leaves at least one label")
        return self._kept(left)

    def named(self, text: str) -> set[str]:
        """The labels in a text, all if it has none. Raises `InputError` for one that the mixture does not have."""
        wanted = {part.strip() for part in text.split(",")} - {""}
        for label in sorted(wanted - set(self.labels)):
            raise InputError(f"labels: there is no label {label!r}; {nearest(label, dict.fromkeys(self.labels))}")
        return wanted or set(self.labels)

    def log_densities(self, points: Any, alpha: Any = 1.0, sigma: Any = 0.0) -> NDArray[np.float64]:
        """Log of w_k N(x; alpha m_k, alpha^2 s_k^2 + sigma^2), (n, components), for points (n, dimensions).

        `alpha` and `sigma` are numbers, or one for each point.
        """
        alpha, sigma = np.reshape(alpha, (-1, 1)), np.reshape(sigma, (-1, 1))  # n or 1, 1
        variance = (alpha * self._stds) ** 2 + sigma**2  # n or 1, components
        squares = (self._away(points, alpha) ** 2).sum(-1)
        return np.log(self._weights) - squares / variance / 2 - self.dimensions / 2 * np.log(2 * math.pi * variance)

    def shares(self, points: Any, alpha: Any = 1.0, sigma: Any = 0.0) -> NDArray[np.float64]:
        """How probably each component made each point, (n, components): the posterior weights of `log_densities`."""
        logs = self.log_densities(points, alpha, sigma)
        likely = np.exp(logs - logs.max(1, keepdims=True))
        return likely / likely.sum(1, keepdims=True)

    def noise(self, points: Any, alpha: Any, sigma: Any) -> NDArray[np.float64]:
        """The expected noise in points x_t = alpha x + sigma noise, (n, dimensions): -sigma times the gradient of log p_t."""
        alpha, sigma = np.reshape(alpha, (-1, 1)), np.reshape(sigma, (-1, 1))
        pull = self.shares(points, alpha, sigma) / ((alpha * self._stds) ** 2 + sigma**2)
        return sigma * (pull[..., None] * self._away(points, alpha)).sum(1)

    def clean(self, points: Any, alpha: Any, sigma: Any) -> NDArray[np.float64]:
        """The expected clean point behind points x_t = alpha x + sigma noise, (n, dimensions); exact at sigma 0 as well."""
        alpha, sigma = np.reshape(alpha, (-1, 1)), np.reshape(sigma, (-1, 1))
        kept = alpha * self._stds**2 / ((alpha * self._stds) ** 2 + sigma**2)
        each = self._means + kept[..., None] * self._away(points, alpha)  # n, components, dimensions
        return (self.shares(points, alpha, sigma)[..., None] * each).sum(1)

    def distances(self, points: Any) -> NDArray[np.float64]:
        """The distance of points to each component in its own standard deviations, (n, components)."""
        return np.sqrt((self._away(points, np.ones((1, 1))) ** 2).sum(-1)) / self._stds

    def share_of(self, text: str, points: Any, alpha: Any = 1.0, sigma: Any = 0.0) -> NDArray[np.float64]:
        """The probability, given x_t, that the label is one of those in a text, (n,)."""
        wanted = self.named(text)
        return self.shares(points, alpha, sigma)[:, [label in wanted for label in self.labels]].sum(1)

    def _away(self, points: Any, alpha: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.asarray(points, float)[:, None] - alpha[..., None] * self._means  # n, components, dimensions

    def _kept(self, labels: set[str]) -> Mixture:
        chosen = [i for i, label in enumerate(self.labels) if label in labels]
        fields = ("means", "stds", "weights", "labels")
        return replace(self, **{name: [getattr(self, name)[i] for i in chosen] for name in fields})

    @cached_property
    def _means(self) -> NDArray[np.float64]:
        return np.array(self.means)

    @cached_property
    def _stds(self) -> NDArray[np.float64]:
        return np.array(self.stds)

    @cached_property
    def _weights(self) -> NDArray[np.float64]:
        return np.array(self.weights)


@dataclass(frozen=True)
class Judgement:
    """How far end points are from the truth without a label.

    `left`: the share of points that carry the removed label; `variation`: total variation distance between the labels of
    the points and those of the truth, 0 to 1; `off`: the share off the manifold. A point carries the label that most
    probably made it. It is off the manifold if its distance to every component, in that component's standard
    deviations, is more than only `RARE` of the component's own points have: 4 in two dimensions. A point that is no
    finite number is off the manifold and carries no label.
    """

    left: float
    variation: float
    off: float


def judge(points: Any, mixture: Mixture, removed: str) -> Judgement:
    """Hold end points (n, dimensions, or latents as studios give them) to `mixture` without a label.

    With a prompt, `mixture` is that of the prompt: `mixture.only(prompt)`. Raises `InputError` without points, and for
    labels that the mixture does not have.
    """
    from scipy.stats import chi

    points = np.reshape(np.asarray(points, float), (-1, mixture.dimensions))
    if not len(points):
        raise InputError("points: none were given; allowed: at least one")
    names, truth = list(dict.fromkeys(mixture.labels)), mixture.without(removed)
    sound = points[np.isfinite(points).all(1)]
    carried = np.stack([mixture.share_of(name, sound) for name in names], axis=1).argmax(1)
    found = np.bincount(carried, minlength=len(names)) / len(points)
    wanted = [sum(w for w, label in zip(truth.weights, truth.labels, strict=True) if label == name) for name in names]
    near = mixture.distances(sound).min(1) <= chi.isf(RARE, mixture.dimensions)
    return Judgement(
        left=float(found[[name in mixture.named(removed) for name in names]].sum()),
        variation=float(np.abs(found - wanted).sum() + 1 - len(sound) / len(points)) / 2,
        off=1 - int(near.sum()) / len(points),
    )


def _array(field: str, values: Any, dimensions: int) -> NDArray[np.float64]:
    try:
        kept = np.array(values, float) + 0.0  # -0 as 0
    except (TypeError, ValueError) as error:
        raise InputError(f"{field}: {error}; allowed: finite numbers") from error
    if kept.ndim != dimensions or not np.isfinite(kept).all():
        wanted = "rows of one length, of finite numbers" if dimensions == 2 else "a list of finite numbers"
        raise InputError(f"{field}: {str(values)[:80]} was given; allowed: {wanted}")
    return kept


COMPASS: Final = Mixture(
    means=((0, 3), (3, 0), (0, -3), (-3, 0)),
    stds=(0.5,) * 4,
    weights=(0.25,) * 4,
    labels=("north", "east", "south", "west"),
)
