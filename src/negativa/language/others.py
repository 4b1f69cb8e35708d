"""What other programs write into their pictures: ComfyUI, InvokeAI, Fooocus and NovelAI, which sd-parsers reads, and SwarmUI.

Here it becomes the names and values that an infotext has, so that there is one way from a picture to a recipe.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final

from negativa.language.infotext import PROGRAM, Infotext
from negativa.plain.samplers import SAMPLERS

if TYPE_CHECKING:
    from PIL import Image
    from sd_parsers.data import PromptInfo, Sampler

#: What they call samplers of ours, where it is not the same.
ALIASES: Final = {
    "euler_ancestral": "euler_a",
    "k_euler_ancestral": "euler_a",
    "k_euler": "euler",
    "uni_pc": "unipc",
    "dpmpp_2m_k": "dpmpp_2m_karras",
}
USUAL_LEVELS: Final = ("normal", "native")
SYNTAXES: Final = {"ComfyUI": "comfy", "InvokeAI": "compel"}
NUMBERS: Final = {"steps": "Steps", "cfg_scale": "CFG scale", "cfgscale": "CFG scale", "seed": "Seed", "noise_seed": "Seed"}
#: What SwarmUI's own settings are called, as far as they are of the picture and not of the program.
SWARM: Final = ("steps", "cfgscale", "seed", "sampler", "scheduler", "model", "width", "height", "loras")


def read(image: Image.Image) -> Infotext | None:
    """What an opened picture of another program says, of its first sampler that reads a text; None if nothing."""
    try:
        return _swarm(image) or _parsed(image)
    except Exception:  # whatever metadata that were edited, or cut, come to
        return None


def _swarm(image: Image.Image) -> Infotext | None:
    """What SwarmUI says, as JSON in the place of the infotext."""
    text = image.info.get("parameters", "")
    if not isinstance(text, str) or "sui_image_params" not in text:
        return None
    said = json.loads(text)["sui_image_params"]
    values = {key: said[key] for key in SWARM if key in said}
    model, loras = str(values.pop("model", "")), values.pop("loras", ())
    settings = dict(_settings(values.pop("sampler", "euler"), values, image.size))
    settings |= {"Model": model} if model else {}
    settings |= {"LoRAs": ", ".join(map(str, loras))} if loras else {}
    return Infotext(str(said["prompt"]), str(said.get("negativeprompt", "")), settings | {PROGRAM: "SwarmUI"})


def _parsed(image: Image.Image) -> Infotext | None:
    """What sd-parsers finds."""
    from sd_parsers import ParserManager
    from sd_parsers.parsers import ComfyUIParser, FooocusParser, InvokeAIParser, NovelAIParser

    if "prompt" in image.info:
        graph = json.loads(image.info["prompt"])
        found = ComfyUIParser().parse({"prompt": graph, "workflow": {"links": list(_links(graph))}})
    else:
        found = ParserManager(managed_parsers=[FooocusParser, InvokeAIParser, NovelAIParser]).parse(image)
    reading = [one for one in found.samplers if one.prompts] if found else []
    if found is None or not reading:
        return None
    sampler, program = reading[0], found.generator.value
    prompt, negative = (", ".join(one.value for one in texts) for texts in (sampler.prompts, sampler.negative_prompts))
    settings = dict(_settings(sampler.name, _parameters(sampler, found), image.size))
    settings |= {"Model": model} if (model := ", ".join(dict.fromkeys(_models(sampler, found)))) else {}
    settings |= {"LoRAs": loras} if (loras := ", ".join(_loras(found))) else {}
    settings |= {"Further samplers": str(more)} if (more := len(found.samplers) - 1) else {}
    return Infotext(prompt, negative, settings | {PROGRAM: program}, SYNTAXES.get(program, "a1111"))


def _links(graph: Mapping[str, Any]) -> Iterator[tuple[Any, ...]]:
    """The links of a ComfyUI graph as its workflow has them, which pictures made over its API lack."""
    for target, node in graph.items():
        for name, given in node.get("inputs", {}).items():
            if isinstance(given, list) and len(given) == 2:
                yield 0, given[0], given[1], target, 0, name.upper()


def _parameters(sampler: Sampler, found: PromptInfo) -> dict[str, Any]:
    """A sampler's numbers, those that stand beside it, and the size that was drawn, if it says one."""
    latents = found.metadata.get("EmptyLatentImage", [])
    sizes = latents[0] if len(latents) == 1 else found.metadata
    beside = {key: found.metadata[key] for key in NUMBERS if key in found.metadata}
    return beside | {side: sizes[side] for side in ("width", "height") if side in sizes} | sampler.parameters


def _settings(sampler: str, parameters: Mapping[str, Any], size: tuple[int, int]) -> Iterator[tuple[str, str]]:
    """Settings under the names that an infotext has for them, others under their own."""
    levels, name = parameters.get("scheduler", "normal"), ALIASES.get(sampler, sampler)
    if f"{name}_{levels}" in SAMPLERS:
        name, levels = f"{name}_{levels}", "normal"
    yield "Sampler", SAMPLERS[name].label if name in SAMPLERS else sampler
    if levels not in USUAL_LEVELS:
        yield "Schedule type", str(levels)
    width, height = (parameters.get(side, pixels) for side, pixels in zip(("width", "height"), size, strict=True))
    yield "Size", f"{width}x{height}"
    for key, value in parameters.items():
        said = key in ("scheduler", "width", "height") or (key, value) == ("denoise", 1)  # from noise alone, as all of ours
        if not said and isinstance(value, str | int | float):
            yield NUMBERS.get(key, key), str(value)


def _models(sampler: Sampler, found: PromptInfo) -> Iterator[str]:
    """The names of models: those of a graph's loaders, or what the sampler says."""
    yield from _held(found, "ckpt_name", "unet_name")
    if sampler.model is not None and isinstance(sampler.model.name, str):
        yield sampler.model.name


def _loras(found: PromptInfo) -> Iterator[str]:
    """The names of LoRAs in a graph or in InvokeAI's metadata."""
    yield from _held(found, "lora_name")
    for one in found.metadata.get("loras") or ():
        model = one.get("model", one.get("lora", {}))
        yield str(model.get("name", model.get("model_name", "?")))


def _held(found: PromptInfo, *inputs: str) -> Iterator[str]:
    """What stands in inputs of a ComfyUI graph's nodes."""
    graph = found.raw_parameters.get("prompt")
    for node in graph.values() if isinstance(graph, dict) else ():
        yield from (one for name in inputs if isinstance(one := node.get("inputs", {}).get(name), str))
