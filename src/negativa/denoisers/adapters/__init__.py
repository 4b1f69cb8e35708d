"""Image prompts: IP-Adapters (Ye et al. 2023, arXiv 2308.06721) in their published layouts, and the encoder they look through.

`Adapters` are those of one model by name; `read` reads a file.
"""

from __future__ import annotations

from negativa.denoisers.adapters.adapter import Adapter
from negativa.denoisers.adapters.files import Checkpoint, read
from negativa.denoisers.adapters.joint import JointAdapter, JointNetwork
from negativa.denoisers.adapters.rack import Adapters, Given

__all__ = ["Adapter", "Adapters", "Checkpoint", "Given", "JointAdapter", "JointNetwork", "read"]
