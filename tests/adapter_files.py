"""Writes IP-Adapters of small U-Nets as they are published, and an image encoder beside them; weights by lot."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from diffusers import UNet2DConditionModel
from PIL import Image as pillow
from safetensors.torch import save_file
from torch import Tensor
from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection

WIDTH, SEEN, SIDE = 20, 24, 32  # of an embedding, of what is seen, of a picture in pixels


def keys_and_values(unet: UNet2DConditionModel, seed: int = 0) -> dict[str, Tensor]:
    """Of every layer that reads words."""
    chance = torch.Generator().manual_seed(seed)
    names = [name.removesuffix(".processor") for name in unet.attn_processors if name.endswith("attn2.processor")]
    return {
        f"{2 * i + 1}.{part}_ip.weight": torch.randn(unet.get_submodule(f"{name}.{part}").weight.shape, generator=chance) / 4
        for i, name in enumerate(names)
        for part in ("to_k", "to_v")
    }


def base(width: int = 32) -> dict[str, Tensor]:
    return _drawn(
        {"proj.weight": (4 * width, WIDTH), "proj.bias": (4 * width,), "norm.weight": (width,), "norm.bias": (width,)}
    )


def full(width: int = 32) -> dict[str, Tensor]:
    shapes = {"proj.0": (SEEN, SEEN), "proj.2": (width, SEEN)}
    found: dict[str, tuple[int, ...]] = {f"{name}.weight": shape for name, shape in shapes.items()}
    found |= {f"{name}.bias": shape[:1] for name, shape in shapes.items()}
    return _drawn(found | {"proj.3.weight": (width,), "proj.3.bias": (width,)})


def plus(width: int = 32, inner: int = 16, tokens: int = 3) -> dict[str, Tensor]:
    shapes: dict[str, tuple[int, ...]] = {
        "latents": (1, tokens, inner),
        "proj_in.weight": (inner, SEEN),
        "proj_in.bias": (inner,),
    }
    shapes |= {
        "proj_out.weight": (width, inner),
        "proj_out.bias": (width,),
        "norm_out.weight": (width,),
        "norm_out.bias": (width,),
    }
    for n in range(4):
        shapes |= {f"layers.{n}.{norm}.{one}": (inner,) for norm in ("0.norm1", "0.norm2", "1.0") for one in ("weight", "bias")}
        shapes |= {f"layers.{n}.0.to_q.weight": (64, inner), f"layers.{n}.0.to_kv.weight": (128, inner)}
        shapes |= {f"layers.{n}.0.to_out.weight": (inner, 64), f"layers.{n}.1.1.weight": (4 * inner, inner)}
        shapes |= {f"layers.{n}.1.3.weight": (inner, 4 * inner)}
    return _drawn(shapes)


def face(width: int = 32) -> dict[str, Tensor]:
    """FaceID, which reads 32 numbers of a face."""
    shapes: dict[str, tuple[int, ...]] = {"proj.0.weight": (64, 32), "proj.0.bias": (64,), "proj.2.weight": (4 * width, 64)}
    return _drawn(shapes | {"proj.2.bias": (4 * width,), "norm.weight": (width,), "norm.bias": (width,)})


PROJECTIONS = {"base": base, "plus": plus, "full": full}


def face_lora(unet: UNet2DConditionModel, rank: int = 2) -> dict[str, Tensor]:
    """What FaceID changes in all attention."""
    chance, found = torch.Generator().manual_seed(5), {}
    for i, name in enumerate(unet.attn_processors):
        layer = unet.get_submodule(name.removesuffix(".processor"))
        for part, module in (("to_q", layer.to_q), ("to_k", layer.to_k), ("to_v", layer.to_v), ("to_out", layer.to_out[0])):
            out, inner = module.weight.shape
            found[f"{i}.{part}_lora.down.weight"] = torch.randn(rank, inner, generator=chance) / 4
            found[f"{i}.{part}_lora.up.weight"] = torch.randn(out, rank, generator=chance) / 4
    return found


def written(path: Path, projection: dict[str, Tensor], layers: dict[str, Tensor]) -> Path:
    """The file, in the layout that its ending asks for."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".bin":
        torch.save({"image_proj": projection, "ip_adapter": layers}, path)
    else:
        flat = {f"image_proj.{key}": value for key, value in projection.items()}
        save_file(flat | {f"ip_adapter.{key}": value for key, value in layers.items()}, path)
    return path


def encoder(folder: Path, width: int = WIDTH) -> Path:
    """A vision tower of three layers, for pictures of 32 x 32 pixels."""
    torch.manual_seed(0)
    config = CLIPVisionConfig(
        hidden_size=SEEN,
        intermediate_size=32,
        num_hidden_layers=3,
        num_attention_heads=2,
        image_size=SIDE,
        patch_size=16,
        projection_dim=width,
    )
    model = CLIPVisionModelWithProjection(config)
    with torch.no_grad():
        for value in model.parameters():
            value.mul_(8.0)  # otherwise it says nearly the same of every picture
    model.save_pretrained(folder)
    return folder


def models(folder: Path, unet: UNet2DConditionModel) -> Path:
    """A folder as published: adapters of every kind, image_encoder beside them."""
    for seed, (kind, projection) in enumerate(PROJECTIONS.items()):
        written(folder / f"{kind}.safetensors", projection(), keys_and_values(unet, seed))
    encoder(folder / "image_encoder")
    return folder


def picture(seed: int, size: tuple[int, int] = (40, 32)) -> pillow.Image:
    """Coloured stripes, others for every seed."""
    rows = np.random.default_rng(seed).integers(256, size=(size[1] // 4, size[0] // 4, 3), dtype=np.uint8)
    return pillow.fromarray(rows).resize(size, pillow.Resampling.NEAREST)


def _drawn(shapes: dict[str, tuple[int, ...]]) -> dict[str, Tensor]:
    chance = torch.Generator().manual_seed(sum(sum(shape) for shape in shapes.values()))
    return {
        name: torch.randn(shape, generator=chance) * (0.3 if len(shape) > 1 else 0.1) + (name.endswith("norm.weight") or 0.0)
        for name, shape in shapes.items()
    }
