"""Begin a model with the weights of an earlier one that may have fewer latent channels and reads another text encoder.

What both have keeps its weights. New latent channels follow the old ones and are not heard at first, so that the model
begins as the earlier one was (compare Chen et al. 2016, arXiv 1511.05641).
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from torch import Tensor, nn
from transformers import CLIPTextModel, CLIPTokenizer

from negativa.training.tokenizer import tokens

Words = tuple[CLIPTextModel, CLIPTokenizer]


@torch.no_grad()
def grow_autoencoder(autoencoder: AutoencoderKL, earlier: AutoencoderKL) -> None:
    """Give an autoencoder the weights of an earlier one; its first latent channels are then the earlier's."""
    _copy(autoencoder, earlier)
    _widen(autoencoder.encoder.conv_out, earlier.encoder.conv_out, outputs=2)
    _widen(autoencoder.quant_conv, earlier.quant_conv, outputs=2, inputs=2)
    _widen(autoencoder.post_quant_conv, earlier.post_quant_conv)
    _widen(autoencoder.decoder.conv_in, earlier.decoder.conv_in)


@torch.no_grad()
def grow_unet(unet: UNet2DConditionModel, earlier: UNet2DConditionModel, translation: Tensor) -> None:
    """Give a U-Net the weights of an earlier one; `translation`, (width, earlier width), is what `translated` finds."""
    _copy(unet, earlier)
    unet.conv_out.weight.zero_()
    unet.conv_out.bias.zero_()
    _widen(unet.conv_in, earlier.conv_in)
    _widen(unet.conv_out, earlier.conv_out)
    for name, module in earlier.named_modules():
        if name.endswith(("attn2.to_k", "attn2.to_v")):
            unet.get_submodule(name).weight.copy_(module.weight @ translation.T)


@torch.no_grad()
def translated(words: Words, earlier: Words, texts: Iterable[str]) -> Tensor:
    """The linear map, by least squares, from a text encoder's hidden states to those of an earlier one.

    Texts that the two cut into different numbers of tokens are left out. Returns (width, earlier width).
    """
    states, goals = list[Tensor](), list[Tensor]()
    for text in texts:
        if len(words[1].tokenize(text)) == len(earlier[1].tokenize(text)):
            for (encoder, tokenizer), found in ((words, states), (earlier, goals)):
                found.append(encoder(tokens(tokenizer, [text])).last_hidden_state[0].double())
    return torch.linalg.lstsq(torch.cat(states), torch.cat(goals)).solution.float()


def _copy(module: nn.Module, earlier: nn.Module) -> None:
    """Copy every weight whose name and shape the two share."""
    own = module.state_dict()
    shared = {name: value for name, value in earlier.state_dict().items() if name in own and own[name].shape == value.shape}
    module.load_state_dict(shared, strict=False)


def _widen(module: nn.Conv2d, earlier: nn.Conv2d, outputs: int = 1, inputs: int = 1) -> None:
    """Copy a convolution into one with more channels; 2 `outputs` or `inputs`: they are means and then log-variances."""

    def blocks(weight: Tensor) -> Tensor:
        rows, columns, *window = weight.shape
        return weight.view(outputs, rows // outputs, inputs, columns // inputs, *window)

    new, old = blocks(module.weight), blocks(earlier.weight)
    rows, columns = old.shape[1], old.shape[3]
    new[:, :rows] = 0  # hear nothing of the new channels
    new[:, :rows, :, :columns] = old
    module.bias.view(outputs, -1)[:, :rows] = earlier.bias.view(outputs, -1)
