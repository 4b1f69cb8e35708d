"""LPIPS: how far apart two pictures look."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, ClassVar, Final

from negativa.errors import InputError
from negativa.measures.measure import Measure, Shot
from negativa.measures.pictures import pairs, pixels
from negativa.plain.quiet import quiet

WINDOW: Final = 64  # pixels a side that AlexNet needs


@dataclass(frozen=True)
class LPIPS(Measure):
    """Perceptual distance to the picture without the negative: 0 is equal, 1 about as far as pictures get.

    Zhang et al. 2018, arXiv 1801.03924, equation 1, on AlexNet, as torchmetrics computes it. It needs the packages
    torchmetrics and torchvision, and torchvision's AlexNet weights in torch's own cache folder; nothing is downloaded.
    """

    name: ClassVar = "lpips"
    unit: ClassVar = "LPIPS distance, 0 or more"
    better: ClassVar = "less"
    over: ClassVar = "pair"
    needs: ClassVar = "torchmetrics, torchvision and its AlexNet weights"

    def check(self) -> None:
        _network()

    def score(self, shots: Sequence[Shot]) -> list[float]:
        import torch

        scores: list[float] = []
        for pair in pairs(self, shots):
            if min(pair[0].size) < WINDOW:
                size = "x".join(map(str, pair[0].size))
                raise InputError(f"lpips: a picture of {size} was given; allowed: at least {WINDOW}x{WINDOW}")
            before, after = (torch.from_numpy(pixels(image)).float().permute(2, 0, 1)[None] / 255 for image in pair)
            with torch.inference_mode():
                scores.append(float(_network()(before, after)))
        return scores


@cache
def _network() -> Any:
    import torch

    try:
        from torchmetrics.image.lpip import LearnedPerceptualImagePatchSimilarity  # type: ignore[import-not-found]
        from torchvision.models import AlexNet_Weights  # type: ignore[import-not-found]
    except (ImportError, RuntimeError) as error:  # the latter from a torchvision that was built for another torch
        raise InputError("lpips: it needs torchmetrics, and the torchvision that fits this torch; install both") from error
    file = Path(torch.hub.get_dir()) / "checkpoints" / AlexNet_Weights.DEFAULT.url.rsplit("/", 1)[-1]
    if not file.is_file():
        raise InputError(f"lpips: there are no AlexNet weights at {str(file)!r}; fetch {AlexNet_Weights.DEFAULT.url}")
    with quiet():
        return LearnedPerceptualImagePatchSimilarity(net_type="alex", normalize=True).eval()
