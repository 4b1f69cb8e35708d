"""LoRA (Hu et al. 2021, arXiv 2106.09685): small changes to a network's weights, W + w B A, in their published layouts.

`Loras` are those of one model by path; `read` reads a file.
"""

from __future__ import annotations

from negativa.denoisers.loras.files import Lora, read
from negativa.denoisers.loras.rack import Acting, Loras

__all__ = ["Acting", "Lora", "Loras", "read"]
