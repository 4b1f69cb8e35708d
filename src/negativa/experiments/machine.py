"""The machine that work is done on, in words."""

from __future__ import annotations

import os
import platform
from functools import cache
from pathlib import Path


@cache
def machine(device: str) -> str:
    """What this process runs on: the GPU if `device` ("cpu", "cuda:0", ...) is one, else the processor; cores; system."""
    if device.startswith("cuda"):
        import torch

        name = torch.cuda.get_device_name(device) if torch.cuda.is_available() else device
    else:
        name = _processor() or platform.processor() or platform.machine()
    return f"{name}, {os.cpu_count()} cores, {platform.platform(terse=True)}"


def _processor() -> str:
    """The processor's name where the kernel says it (Linux), else nothing."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return ""
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "")
