"""Visual question models, of weights that the user names: yes or no about a picture."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any, Final

from negativa.errors import InputError
from negativa.plain.pretrained import read_weights
from negativa.plain.quiet import quiet

if TYPE_CHECKING:
    from PIL import Image

Ask = Callable[["Image.Image", str], str]

LONGEST: Final = 8  # tokens of an answer


def answers(weights: str, question: str, images: Sequence[Image.Image]) -> Iterator[bool]:
    """Whether a model answers `question` with yes, for each picture.

    `weights`: a folder or a Hugging Face id; a model made for visual questions (ViLT, BLIP), or one that chats about pictures.
    Raises `InputError` if it cannot be read, or answers neither yes nor no.
    """
    ask = question_model(weights)
    for image in images:
        answer = ask(image.convert("RGB"), question)
        words = answer.strip().lower().strip("\"'*").split()
        first = words[0].strip(".,;:!\"'*") if words else ""
        if first not in ("yes", "no"):
            raise InputError(f"weights: {weights!r} answered {answer!r} to {question!r}; allowed: a model that says yes or no")
        yield first == "yes"


@cache
def question_model(weights: str) -> Ask:
    """The model of these weights, read once. Raises `InputError` if it cannot be read."""
    return read_weights("weights", weights, "a visual question model", _read)


def _read(weights: str) -> Ask:
    from transformers import AutoConfig, AutoModelForVisualQuestionAnswering, AutoProcessor, pipeline

    made_as = (AutoConfig.from_pretrained(weights).architectures or ["?"])[0]
    if made_as.endswith("ForQuestionAnswering"):
        model = AutoModelForVisualQuestionAnswering.from_pretrained(weights).float().eval()
        return _asked_directly(model, AutoProcessor.from_pretrained(weights))
    chat = pipeline("image-text-to-text", model=weights)
    if type(chat.model).__name__ != made_as or not chat.model.can_generate():  # else untrained weights would answer
        raise ValueError(f"it is a {made_as}, which answers no questions")
    return _asked_in_chat(chat)


def _asked_directly(model: Any, processor: Any) -> Ask:
    import torch

    def ask(image: Image.Image, question: str) -> str:
        inputs = processor(images=image, text=question, return_tensors="pt")
        with torch.inference_mode():
            if model.can_generate():
                return processor.decode(model.generate(**inputs, max_new_tokens=LONGEST)[0], skip_special_tokens=True)
            return model.config.id2label[int(model(**inputs).logits.argmax())]

    return ask


def _asked_in_chat(chat: Any) -> Ask:
    def ask(image: Image.Image, question: str) -> str:
        text: Any = f"{question} Answer yes or no."
        settings = {"max_new_tokens": LONGEST, "return_full_text": False, "generate_kwargs": {"do_sample": False}}
        with quiet():
            if getattr(chat.processor, "chat_template", None):
                content = [{"type": "image", "image": image}, {"type": "text", "text": text}]
                return chat(text=[{"role": "user", "content": content}], **settings)[0]["generated_text"]
            return chat(images=image, text=text, **settings)[0]["generated_text"]

    return ask
