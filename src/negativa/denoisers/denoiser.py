"""What every model family offers the rest of the house."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from negativa.plain.conditions import NothingKind, Words
from negativa.plain.images import Blank, Image
from negativa.plain.passes import Pass

if TYPE_CHECKING:
    from PIL.Image import Image as Picture
    from torch import Tensor


class Denoiser(Protocol):
    """A loaded model: reads conditions, predicts many rows at once, turns latents into pictures."""

    name: str
    hash: str  # first ten hexadecimal digits of the denoising network's file, "" if it was read from several
    device: str
    dtype: str
    factor: int  # pixels that a latent stands for, each way
    scaling: tuple[float, float]  # what the autoencoder's latents are multiplied by, after this was taken off them
    multiple: int  # of pixels, which width and height have to be
    largest: int  # pixels, of width and height
    size: int  # width and height the model was trained for, pixels
    scale: float  # of guidance, where a recipe leaves it open
    distilled_scale: float | None  # what it is told of guidance, where a recipe leaves it open; None if it is told none
    nothing: NothingKind  # what stands where no text is, where a recipe leaves it open
    scheduler: Mapping[str, Any]  # configuration of its noise schedule, see `schedule`
    patches: Mapping[str, Any]  # those that it can carry out by name; each has a `place`, and a pass one patch a place
    adapters: Mapping[str, Any]  # what reads images, by name; each has a `hash`

    def shape(self, width: int, height: int) -> tuple[int, int, int]:
        """Channels, height and width of the latents of a picture of that size in pixels."""
        ...

    def schedule(self, width: int, height: int) -> Mapping[str, Any]:
        """`scheduler` as it is for a picture of that size in pixels."""
        ...

    def predict(self, latents: Sequence[Tensor], timesteps: Sequence[float], passes: Sequence[Pass]) -> Tensor:
        """The network's prediction for each row (channels, height, width); float32 on the CPU, (rows, ...).

        Whatever happens, the network is afterwards what it was before.
        """
        ...

    def decode(self, latents: Sequence[Tensor], tiled: bool = False) -> Sequence[Picture | None]:
        """The pictures of latents (channels, height, width) of one shape, in one call, or `tiled`: a part at a time.

        None stands for a picture whose numbers ran out of range.
        """
        ...

    def refresh(self) -> None:
        """Forget what was read of embeddings and LoRAs whose files were written anew since.

        Raises `InputError` if a place of the model's own embeddings is not there any more.
        """
        ...

    def look_at(self, image: Image | Blank) -> None:
        """Read an image, or what stands for none, through its adapter. Raises `InputError` if that cannot be done."""
        ...

    def lora(self, file: str) -> Any:
        """The LoRA of a file, read once; it has a `hash`. Raises `InputError` if it is none for this model."""
        ...

    def chunks(self, words: Words) -> int:
        """How many chunks of the model's encoder a text takes, 0 for a model that cannot weigh words."""
        ...

    def learned(self, words: Words) -> Mapping[str, str]:
        """The embeddings among the words by name, with the hashes of their files."""
        ...

    def unread(self, words: Words) -> str:
        """The end of the text that the model's encoder has no room for, "" if it reads all of it."""
        ...

    def unreadable(self, words: Words) -> list[str]:
        """Why embedding files that a text names could not be read."""
        ...

    def unknown(self, words: Words) -> list[str]:
        """The tokens, written <so>, that the model has no vector for and reads as ordinary pieces."""
        ...
