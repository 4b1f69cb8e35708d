"""The precision that terrarium's parts are trained in."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

import torch


def mixed(device: torch.device) -> AbstractContextManager[object]:
    """bfloat16 for what bears it, on a device that multiplies in it, else float32.

    A processor without such instructions mimics them: a step of the U-Net took seven times as long (AMD EPYC with AVX2).
    """
    return torch.autocast(device.type, torch.bfloat16) if _multiplies_bfloat16(device) else nullcontext()


def _multiplies_bfloat16(device: torch.device) -> bool:
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    can = torch.cpu.get_capabilities()
    return device.type == "cpu" and any(can.get(name) for name in ("avx512_bf16", "amx_bf16", "bf16"))
