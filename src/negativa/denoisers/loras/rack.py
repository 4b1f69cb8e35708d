"""The LoRAs of one model by path, read when a recipe first needs them, and put into its networks for a while.

What acts is the weights W + w B A, made once for a combination and put in the place of W; afterwards W itself, the very same
numbers, is there again. A pass with a LoRA takes as long as one without.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import torch
from torch import Tensor, nn

from negativa.denoisers.kept import Kept, bytes_of
from negativa.denoisers.loras.files import Lora, Pair, read
from negativa.errors import InputError
from negativa.plain.files import stamp

KEPT: Final = 2**30  # bytes of changed weights that are kept
BOTH: Final = 2  # combinations that are kept however large: a rule may move away from other LoRAs, in turn at every step
Acting = tuple[tuple[str, float], ...]  # paths with their weights


class Loras:
    """`networks` are what LoRAs may change, by name: "unet", "text_encoder", "text_encoder_2". `family` is told in errors.

    `acting` are those that are in the networks now.
    """

    def __init__(self, networks: Mapping[str, nn.Module], family: str) -> None:
        self.acting: Acting = ()
        self._networks, self._family = networks, family
        self._fitted: dict[str, tuple[Lora, dict[nn.Module, Pair]]] = {}
        self._stamps: dict[str, Any] = {}
        self._changed = Kept[dict[nn.Module, Tensor]](KEPT, lambda one: bytes_of(*one.values()), BOTH)
        self._beside: dict[str, Mapping[nn.Module, Pair]] = {}

    def __getitem__(self, file: str) -> Lora:
        """Raises `InputError` if it is no LoRA for this model."""
        return self._fit(file)[0]

    @property
    def on_texts(self) -> Acting:
        """Those of `acting` that change what reads texts."""
        return tuple(
            (file, weight)
            for file, weight in self.acting
            if file not in self._beside and any(pairs for name, pairs in self[file].pairs.items() if name != "unet")
        )

    def refresh(self) -> bool:
        """Forget the LoRAs whose files were written anew since they were read; whether there were any."""
        stale = [file for file in self._fitted if stamp(file) != self._stamps[file]]
        for file in stale:
            del self._fitted[file]
        if stale:
            self._changed.clear()
        return bool(stale)

    def add(self, name: str, pairs: Mapping[nn.Module, Pair]) -> None:
        """Know matrices that came with something else by a name that is no file's."""
        self._beside[name] = pairs

    @contextmanager
    def put(self, loras: Acting) -> Iterator[None]:
        """The networks changed by these; as they were again afterwards, whatever happened."""
        before, changed = self.acting, self._weights(loras)
        kept = {module: module.weight for module in changed}
        self.acting = loras
        try:
            for module, weight in changed.items():
                module._parameters["weight"] = weight
            yield
        finally:
            self.acting = before
            for module, weight in kept.items():
                module._parameters["weight"] = weight

    def _fit(self, file: str) -> tuple[Lora, dict[nn.Module, Pair]]:
        """A LoRA, and its matrices by the module that they change."""
        if file not in self._fitted:
            self._stamps[file] = stamp(file)
            lora = read(Path(file), self._networks["unet"].config)
            named = [(name, place, pair) for name, pairs in lora.pairs.items() for place, pair in pairs.items()]
            self._fitted[file] = lora, {self._module(lora, name, place, pair): pair for name, place, pair in named}
        return self._fitted[file]

    def _weights(self, loras: Acting) -> dict[nn.Module, Tensor]:
        """The changed weights by module; those made last are kept."""
        return self._changed.get(loras, lambda: self._change(loras)) if loras else {}

    @torch.no_grad()
    def _change(self, loras: Acting) -> dict[nn.Module, Tensor]:
        pairs: dict[nn.Module, list[tuple[Pair, float]]] = {}
        for file, weight in loras:
            for module, pair in (self._beside.get(file) or self._fit(file)[1]).items():
                pairs.setdefault(module, []).append((pair, weight))
        return {module: _merged(module.weight, several) for module, several in pairs.items()}

    def _module(self, lora: Lora, name: str, place: str, pair: Pair) -> nn.Module:
        """What a pair of matrices changes. Raises `InputError` if this model has no place for them."""
        network, (down, up) = self._networks.get(name), pair
        if not hasattr(network, "text_model"):
            place = place.removeprefix("text_model.")  # older files say it, newer encoders do not
        try:
            module = (network or nn.Module()).get_submodule(place)
        except AttributeError:
            module = None
        weight = module.weight if isinstance(module, nn.Linear | nn.Conv2d) else None
        if weight is None or weight.shape != (up.shape[0], *down.shape[1:]) or up[0, 0].numel() != 1:
            what = f"it changes {name}.{place[:80]}, {up.shape[0]} by {'x'.join(map(str, down.shape[1:]))}"
            here = "which is not there" if weight is None else f"which is {' by '.join(map(str, weight.shape[:2]))} here"
            raise InputError(f"lora: {str(lora.path)!r} is for another model: {what}, {here}; allowed: one for {self._family}")
        return module


def _merged(before: Tensor, pairs: Sequence[tuple[Pair, float]]) -> nn.Parameter:
    """A weight changed by pairs, each with its own weight."""
    changed = before.float()
    for pair, weight in pairs:
        changed = changed + weight * _product(pair, before)
    # laid out in memory as it was: a convolution copies any other at every call
    return nn.Parameter(torch.empty_like(before).copy_(changed), requires_grad=False)


def _product(pair: Pair, like: Tensor) -> Tensor:
    """B A in the shape of a weight; a convolution's A looks as it does, its B only mixes channels."""
    down, up = (one.to(like.device, torch.float32) for one in pair)
    return (up.flatten(1) @ down.flatten(1)).view(like.shape)
