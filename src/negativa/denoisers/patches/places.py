"""Where patches go inside Stable Diffusion's U-Net, and how they come out again."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any, ClassVar, Final, Literal, Protocol

from diffusers import UNet2DConditionModel
from diffusers.models.attention import BasicTransformerBlock
from diffusers.models.attention_processor import Attention
from torch import Tensor

from negativa.denoisers.patches.seeing import Picture, Told

#: What a patch changes: where words are read, where the picture looks at itself, or a whole block. One patch a place.
Place = Literal["cross-attention", "self-attention", "block"]
LAYERS: Final = {"cross-attention": "attn2", "self-attention": "attn1"}


@dataclass(frozen=True)
class Company:
    """What the rows of a call are told and see, and the shape of what they draw.

    `own`: what the rows themselves are told, and after them their references; `others`: for each condition that is read
    beside it, what the rows are told; `words`: for each row and condition the tokens of the words alone, (tokens, width);
    `weights` (conditions, rows); `size`: height and width of the latents; `pictures`: what each row sees beside its own
    words, `shown`: for each condition, what each row sees beside its words.
    """

    own: Told
    others: Sequence[Told]
    words: Sequence[Sequence[Tensor]]
    weights: Tensor
    size: tuple[int, int]
    pictures: Sequence[Sequence[Picture]] = ()
    shown: Sequence[Sequence[Sequence[Picture]]] = ()


class Patch(Protocol):
    """A frozen dataclass of numbers; `change` is called with the company of the rows, before they are run.

    This is what a U-Net asks of it; `join` is what a transformer of joint attention does, see `Call`.

    For attention it gives a function of the layer and of what goes in, for a block one of what went in and what came out,
    (rows, positions, width) each. `where` begins the names of the blocks that are changed.
    """

    place: ClassVar[Place]
    where: ClassVar[str]

    def change(self, company: Company) -> Callable[..., Tensor]: ...


def blocks_of(unet: UNet2DConditionModel) -> dict[str, BasicTransformerBlock]:
    """The blocks that patches change, by name."""
    return {name: one for name, one in unet.named_modules() if isinstance(one, BasicTransformerBlock)}


@dataclass(frozen=True)
class Processor:
    """A change of attention as diffusers wants it: of a mere function it would look up the signature in every call."""

    change: Callable[[Attention, Tensor], Tensor]

    def __call__(self, attn: Attention, hidden_states: Tensor, **_: Any) -> Tensor:
        return self.change(attn, hidden_states)


@contextmanager
def inside(blocks: Mapping[str, BasicTransformerBlock], patches: Sequence[tuple[Patch, Company]]) -> Iterator[None]:
    """A network's blocks with patches in them; without them again afterwards, whatever happened."""
    with ExitStack() as undo:
        for patch, company in patches:
            change = patch.change(company)
            for name, block in blocks.items():
                if name.startswith(patch.where):
                    undo.callback(_put(block, patch.place, change))
        yield


def _put(block: BasicTransformerBlock, place: Place, change: Callable[..., Tensor]) -> Callable[[], None]:
    """Change a block at a place; gives what takes the change back."""
    if place == "block":

        def changed(module: Any, given: tuple[Any, ...], named: dict[str, Any], out: Tensor) -> Tensor:
            return change(given[0] if given else named["hidden_states"], out)

        return block.register_forward_hook(changed, with_kwargs=True).remove
    layer = getattr(block, LAYERS[place])
    before = layer.processor
    layer.set_processor(Processor(change))
    return lambda: layer.set_processor(before)
