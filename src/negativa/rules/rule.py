"""What a rule is: which passes a step needs, and how their predictions combine."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from negativa.plain.passes import Moment

Predictions = Mapping[str, Any]  # name of a pass -> tensor (channels, height, width), float32
Memory = dict[str, Any]  # what a rule remembers from step to step; one for each image, owned by its walk


class Rule(Protocol):
    """Arithmetic on named predictions; a frozen dataclass whose fields are its knobs."""

    def passes(self, moment: Moment) -> tuple[str, ...]:
        """The names of the passes that `combine` will read at this moment."""
        ...

    def combine(self, predictions: Predictions, moment: Moment, memory: Memory) -> Any:
        """The guided prediction, of the same shape; the inputs are left as they were."""
        ...
