"""A call of a network of joint attention, as patches want it, and how they come out of the network again."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from typing import Any, Final, NamedTuple

import torch
from torch import Tensor, nn

from negativa.denoisers.adapters import JointNetwork
from negativa.denoisers.encoding import Encoding
from negativa.denoisers.patches.joint import Flipped, JointAttention
from negativa.denoisers.patches.seeing import Picture
from negativa.denoisers.patches.showing import joint_sights

PERTURBED: Final = 13 / 24  # of the depth: the block that an example of diffusers perturbs


class Said(NamedTuple):
    """What is said of a text, and the pictures that are seen beside it."""

    encoding: Encoding
    pictures: Sequence[Picture] = ()


@dataclass
class Call:
    """A call of the network for pictures with a text of their `own` each, and what patches make of it before it is run.

    `times` are those of the pictures, (rows,). `texts` are read too, by all pictures in turn: negative after negative, each
    by a copy of the picture if they are `copied`, else as `steer` says. `flipped`: words at the end of the pictures' own
    texts, (rows, tokens, width), what multiplies their values and what is added to their logits. `change` makes of the
    pictures, after every block, what they go on with. In one block they may be `perturbed`, and some may be `skipped`.
    """

    own: Sequence[Said]
    times: Tensor
    texts: Sequence[Said] = ()
    copied: bool = False
    steer: Callable[[Tensor, Tensor], Tensor] | None = None
    flipped: tuple[Tensor, Tensor, Tensor] | None = None
    change: Callable[[Tensor], Tensor] | None = None
    perturbed: bool = False
    skipped: bool = False

    @property
    def read(self) -> list[Said]:
        """All that is read, the pictures' own texts first: a row of the network each."""
        return [*self.own, *self.texts]

    @property
    def untouched(self) -> bool:
        """Whether the network is run as it is."""
        return not any((self.texts, self.flipped, self.change, self.perturbed)) and not any(one.pictures for one in self.own)

    def states(self) -> Tensor:
        """What is read, (rows, tokens, width)."""
        states = torch.stack([one.encoding.states for one in self.read])
        return torch.cat([states, self._filled(self.flipped[0], 0)], 1) if self.flipped else states

    def attention(self) -> JointAttention:
        """What is read of it, in every block but one where it is perturbed."""
        flipped = self.flipped and Flipped(self._filled(self.flipped[1], 0), self._filled(self.flipped[2], -torch.inf))
        words = flipped.bias.shape[1] if flipped else 0
        texts = 1 if self.copied else 1 + len(self.texts) // len(self.own)
        sights = joint_sights([one.pictures for one in self.read], self.times.repeat(len(self.read) // len(self.own)))
        return JointAttention(len(self.own[0].encoding.states) + words, texts, self.steer, flipped, sights)

    def _filled(self, tokens: Tensor, value: float) -> Tensor:
        """For the rows of the further texts too, which have none of these tokens."""
        return torch.cat([tokens, tokens.new_full((len(self.texts), *tokens.shape[1:]), value)])


@contextmanager
def joined(network: JointNetwork, call: Call) -> Iterator[None]:
    """A network as a call wants it; afterwards it is what it was, whatever happened.

    Where a picture has several texts, it is given rows of text for all of them, and of pictures but once.
    """
    with ExitStack() as undo:
        blocks, attention = blocks_of(network), call.attention()
        for i, block in enumerate(blocks):
            undo.callback(block.attn.set_processor, block.attn.processor)
            here = call.perturbed and i == min(round(PERTURBED * len(blocks)), len(blocks) - 1)
            block.attn.set_processor(replace(attention, perturbed=True) if here else attention)
            if call.change:
                undo.callback(block.register_forward_hook(_changing(call.change)).remove)
        if attention.texts > 1:
            for norm in [*(block.norm1 for block in network.transformer_blocks), network.norm_out]:
                undo.callback(norm.register_forward_pre_hook(_as_many, with_kwargs=True).remove)
            for block in blocks[len(network.transformer_blocks) :][:1]:  # from here on text and picture are one stream
                undo.callback(block.register_forward_pre_hook(_for_every_text, with_kwargs=True).remove)
        yield


def blocks_of(network: JointNetwork) -> list[nn.Module]:
    """The blocks of joint attention, in order."""
    return [*network.transformer_blocks, *getattr(network, "single_transformer_blocks", ())]


def _changing(change: Callable[[Tensor], Tensor]) -> Callable[..., tuple[Tensor, Tensor]]:
    def changed(block: nn.Module, given: Any, out: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        text, picture = out
        return text, change(picture)

    return changed


def _as_many(
    norm: nn.Module, given: tuple[Tensor, ...], named: dict[str, Tensor]
) -> tuple[tuple[Tensor, ...], dict[str, Tensor]]:
    """Of what a norm is told of each text, what belongs to the rows that it has: those of their own texts."""
    rows = len(given[0])
    return tuple(one[:rows] for one in given), {name: one[:rows] for name, one in named.items()}


def _for_every_text(block: nn.Module, given: tuple[()], named: dict[str, Any]) -> tuple[tuple[()], dict[str, Any]]:
    texts = len(named["encoder_hidden_states"]) // len(named["hidden_states"])
    return given, named | {"hidden_states": named["hidden_states"].repeat(texts, 1, 1)}
