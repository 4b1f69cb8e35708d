"""The one place where model, rules and engine meet: recipes in, pictures and receipts out."""

from __future__ import annotations

from negativa.studio.finishing import Result
from negativa.studio.loading import Loading, device_of, load
from negativa.studio.studio import Stepped, Studio

__all__ = ["Loading", "Result", "Stepped", "Studio", "device_of", "load"]
